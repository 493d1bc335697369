#include <algorithm>

#include "data/tokenizer/models.h"
#include "data/unicode/unicode.h"

namespace trellis::data {

WordPiece::WordPiece(Vocabulary vocabulary, TokenId unknown, std::string continuation, std::size_t longest_word)
    : begins_(std::move(vocabulary)), continuation_(std::move(continuation)), unknown_(unknown),
      longest_word_(longest_word) {
  for (const auto& [token, id] : begins_) {
    highest_ = std::max(highest_, id);
    longest_token_ = std::max(longest_token_, token.size());
    if (token.size() > continuation_.size() && token.starts_with(continuation_))
      goes_on_.emplace(token.substr(continuation_.size()), id);
  }
}

void WordPiece::mark_words(std::vector<WordPart>& parts) const {
  for (const auto& [token, id] : begins_) parts[static_cast<std::size_t>(id)] = WordPart::begins;
  for (const auto& [token, id] : goes_on_) parts[static_cast<std::size_t>(id)] = WordPart::goes_on;
}

const TokenId* WordPiece::find(std::string_view token) const {
  const auto found = begins_.find(token);
  return found == begins_.end() ? nullptr : &found->second;
}

void WordPiece::encode(std::string_view word, std::vector<TokenId>& out) const {
  const auto characters = std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; });
  if (static_cast<std::size_t>(characters) > longest_word_) return out.push_back(unknown_);
  const std::size_t before = out.size();
  for (std::size_t at = 0; at < word.size();) {
    const Vocabulary& table = at == 0 ? begins_ : goes_on_;
    std::size_t length = std::min(word.size() - at, longest_token_);
    auto found = table.end();
    for (; length > 0; --length) {
      const bool cuts_character = at + length < word.size() && (word[at + length] & 0xC0) == 0x80;
      if (!cuts_character && (found = table.find(word.substr(at, length))) != table.end()) break;
    }
    if (length == 0) {
      out.resize(before);
      return out.push_back(unknown_);
    }
    out.push_back(found->second);
    at += length;
  }
}

}  // namespace trellis::data
