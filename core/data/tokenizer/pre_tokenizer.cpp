#include "data/tokenizer/pre_tokenizer.h"

#include "data/unicode/unicode.h"

namespace trellis::data {
namespace {

std::size_t behind(std::string_view text, std::size_t at) { return at + length_of(text[at]); }

// The next match is looked for from `at` on; what is before it is a piece, too.
std::pair<std::size_t, bool> next_of_split(const CutStep& step, std::string_view text, std::size_t at) {
  if (const std::size_t end = step.expression->match(text, at); end != SplitExpression::npos)
    return {end, step.keeps_matches};
  std::size_t next = behind(text, at);
  while (next < text.size() && step.expression->match(text, next) == SplitExpression::npos) next = behind(text, next);
  return {next, step.keeps_rest};
}

std::pair<std::size_t, bool> next_of_digits(const CutStep& step, std::string_view text, std::size_t at) {
  const bool numeric = is_numeric(decode(text.data() + at));
  std::size_t next = behind(text, at);
  if (numeric && step.one_by_one) return {next, true};
  while (next < text.size() && is_numeric(decode(text.data() + next)) == numeric) next = behind(text, next);
  return {next, true};
}

std::pair<std::size_t, bool> next_of_bert(std::string_view text, std::size_t at) {
  const char32_t c = decode(text.data() + at);
  std::size_t next = behind(text, at);
  if (is_space(c)) return {next, false};
  if (is_punctuation(c)) return {next, true};
  for (; next < text.size(); next = behind(text, next)) {
    const char32_t other = decode(text.data() + next);
    if (is_space(other) || is_punctuation(other)) break;
  }
  return {next, true};
}

}  // namespace

std::string_view gpt2_expression() {
  return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
}

std::pair<std::size_t, bool> detail::next_piece(const CutStep& step, std::string_view text, std::size_t at) {
  if (step.kind == CutStep::Kind::digits) return next_of_digits(step, text, at);
  if (step.kind == CutStep::Kind::bert) return next_of_bert(text, at);
  return next_of_split(step, text, at);
}

}  // namespace trellis::data
