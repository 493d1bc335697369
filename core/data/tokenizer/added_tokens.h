// Tokens that are found in text before anything else happens to it, like <|endoftext|>.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace trellis::data {

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool left_strip = false, right_strip = false;  // takes the white space before, behind
  bool normalized = false;                       // is looked for in normalized text, and is normalized itself
  bool special = false;
};

// The leftmost, of those the longest, as the public package looks. Immutable.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Calls `text(piece)` and `token(id)` for what is between them and for them, in order.
  template <class Text, class Token>
  void split(std::string_view whole, Text text, Token token) const {
    std::size_t done = 0;
    for (Found found; !tokens_.empty() && (found = next(whole, done, found.looked)).token;) {
      if (found.begin > done) text(whole.substr(done, found.begin - done));
      token(found.token->id);
      done = found.end;
    }
    if (done < whole.size()) text(whole.substr(done));
  }

 private:
  struct Found {
    const AddedToken* token = nullptr;
    std::size_t begin = 0, end = 0;  // with the white space that it takes
    std::size_t looked = 0;          // where to look on
  };
  Found next(std::string_view whole, std::size_t done, std::size_t from) const;

  std::vector<AddedToken> tokens_;                     // by first byte, longest first
  std::array<std::pair<int, int>, 256> by_first_{};    // those that begin with a byte: first, and one past the last
};

}  // namespace trellis::data
