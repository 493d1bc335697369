// Tables of tokens: by their bytes, and words that were met before.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace trellis::data {

struct BytesHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Vocabulary = std::unordered_map<std::string, TokenId, BytesHash, std::equal_to<>>;

inline constexpr TokenId kMostTokens = 1 << 28;  // of a vocabulary; its numbers are below

// The tokens of words that were met before, as many as fit in a processor's cache. Of one thread.
class WordCache {
 public:
  WordCache() : slots_(kSlots) {}

  // Appends the tokens of a word: from memory, or those that `work(out)` appends.
  template <class Work>
  void encode(std::string_view word, std::vector<TokenId>& out, Work work) {
    if (word.size() > kLongest) return work(out);
    const std::size_t hash = BytesHash{}(word);
    Slot& slot = slots_[hash % kSlots];
    if (slot.hash != hash || slot.word != word) {
      slot.hash = hash;
      slot.word = word;
      slot.tokens.clear();
      work(slot.tokens);
    }
    out.insert(out.end(), slot.tokens.begin(), slot.tokens.end());
  }

 private:
  static constexpr std::size_t kSlots = 1 << 15, kLongest = 64;
  struct Slot {
    std::size_t hash = 0;
    std::string word;
    std::vector<TokenId> tokens;
  };
  std::vector<Slot> slots_;
};

}  // namespace trellis::data
