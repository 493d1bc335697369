// How normalized text is cut into the words that a model takes one by one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/split_expression.h"

namespace trellis::data {

struct CutStep {
  enum class Kind {
    split,   // at the matches of an expression
    digits,  // numbers apart from the rest, as a whole or one by one
    bert,    // at white space, punctuation for itself
    prefix,  // no cut: a space before text that has none there
  } kind = Kind::split;
  std::shared_ptr<const SplitExpression> expression;  // of split
  bool keeps_matches = true, keeps_rest = true;       // of split: which of the two are words
  bool one_by_one = false;                            // of digits
};

// GPT-2's, which is part of the step ByteLevel.
std::string_view gpt2_expression();

namespace detail {
// The end of the first piece of `text` that begins at `at`, and whether it is kept.
std::pair<std::size_t, bool> next_piece(const CutStep& step, std::string_view text, std::size_t at);
}

// Calls `word(piece)` for every word in order.
template <class Word>
void cut(const CutStep* step, const CutStep* end, std::string_view text, Word& word) {
  if (text.empty()) return;
  if (step == end) return word(text);
  if (step->kind == CutStep::Kind::prefix) {
    if (text.front() == ' ') return cut(step + 1, end, text, word);
    const std::string longer = ' ' + std::string(text);
    return cut(step + 1, end, std::string_view(longer), word);
  }
  for (std::size_t at = 0; at < text.size();) {
    const auto [next, kept] = detail::next_piece(*step, text, at);
    if (kept) cut(step + 1, end, text.substr(at, next - at), word);
    at = next;
  }
}

}  // namespace trellis::data
