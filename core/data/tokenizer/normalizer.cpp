#include "data/tokenizer/normalizer.h"

#include "data/unicode/unicode.h"

namespace trellis::data {
namespace {

template <class Act>
void each_character(std::string_view text, Act act) {
  for (const char *at = text.data(), *end = at + text.size(); at < end; at += length_of(*at))
    act(decode(at), std::string_view(at, length_of(*at)));
}

std::string cleaned(std::string_view text) {
  std::string result;
  each_character(text, [&](char32_t c, std::string_view bytes) {
    if (c == '\t' || c == '\n' || c == '\r') result += ' ';
    else if (c == 0 || c == 0xFFFD || is_other(c)) return;
    else if (is_space(c)) result += ' ';
    else result += bytes;
  });
  return result;
}

std::string with_ideographs_apart(std::string_view text) {
  std::string result;
  each_character(text, [&](char32_t c, std::string_view bytes) {
    const bool apart = c >= 0x80 && is_ideograph(c);
    if (apart) result += ' ';
    result += bytes;
    if (apart) result += ' ';
  });
  return result;
}

std::string without_accents(std::string_view text) {
  std::string result;
  each_character(nfd(text), [&](char32_t c, std::string_view bytes) {
    if (c < 0x80 || !is_accent(c)) result += bytes;
  });
  return result;
}

}  // namespace

std::string normalize(const NormalizerStep& step, std::string_view text) {
  using Kind = NormalizerStep::Kind;
  if (step.kind == Kind::nfc) return nfc(text);
  if (step.kind == Kind::nfd) return nfd(text);
  if (step.kind == Kind::lower) return lower(text);
  std::string result(text);
  if (step.clean) result = cleaned(result);
  if (step.ideographs) result = with_ideographs_apart(result);
  if (step.strip_accents) result = without_accents(result);
  if (step.lower) result = lower(result);
  return result;
}

std::string normalize(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string result(text);
  for (const NormalizerStep& step : steps) result = normalize(step, result);
  return result;
}

}  // namespace trellis::data
