// The expressions by which a tokenizer.json cuts text into words, as in GPT-2, LLaMA-3 and Qwen2. Matched as the public
// package does, whose regular expressions know another version of Unicode than any library at hand.
//
// Known are: characters and their escapes, \s \S, \d, \p{..} and \P{..} of general categories, classes [..],
// quantifiers ? * + {n} {n,} {n,m} of one character and ? of a group, groups (?:..) (..), (?i:..) of ASCII letters,
// (?=..) (?!..), and |. Anything else is refused by name, and so is an expression that nothing satisfies already.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis::data {

// One character of a set. Immutable.
struct CharacterSet {
  std::uint64_t ascii[2] = {0, 0};
  std::uint32_t categories = 0;                         // bits of Category
  bool has_spaces = false;                              // White_Space
  std::vector<std::pair<char32_t, char32_t>> ranges;    // first and last
  std::vector<CharacterSet> others;                     // \P{..}, \S within a class
  bool negated = false;

  bool contains(char32_t c) const {
    return c < 128 ? (ascii[c >> 6] >> (c & 63) & 1) != 0 : contains_wide(c);
  }
  bool contains_wide(char32_t c) const;
  void finish();  // fills `ascii` from the rest
};

struct Alternatives;

struct Item {
  enum class Kind : std::uint8_t { characters, group, ahead, not_ahead } kind = Kind::characters;
  CharacterSet set;                          // of characters
  std::shared_ptr<const Alternatives> body;  // of the others
  std::uint32_t least = 1, most = 1;
};

struct Alternatives {
  std::vector<std::vector<Item>> choices;
};

class TRELLIS_API SplitExpression {
 public:
  // Throws Error (unsupported) that names what is not known, without a place.
  explicit SplitExpression(std::string_view expression);
  static SplitExpression literal(std::string_view text);

  // The end of the match that starts here, or npos. Greedy, first choice first. Thread-safe. Throws Error where the
  // expression needs more steps than anybody means.
  std::size_t match(std::string_view text, std::size_t begin) const;

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

 private:
  SplitExpression() = default;
  Alternatives top_;
};

}  // namespace trellis::data
