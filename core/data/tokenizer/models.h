// The models of a tokenizer.json: what makes tokens of a word. Immutable.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizer/vocabulary.h"

namespace trellis::data {

class WordModel {
 public:
  virtual ~WordModel() = default;
  virtual void encode(std::string_view word, std::vector<TokenId>& out) const = 0;
  virtual const TokenId* find(std::string_view token) const = 0;  // as the file writes it
  virtual TokenId highest() const = 0;  // number
  virtual void mark_words(std::vector<WordPart>& parts) const = 0;  // its tokens, by number
};

// Byte-pair encoding over bytes: the pair that comes first in the list is joined first.
class ByteLevelBpe final : public WordModel {
 public:
  // Tokens and merges are written in the byte-level alphabet, one letter a byte. Error without a place for merges of
  // tokens that are not there, and for a byte of text that has no token.
  ByteLevelBpe(const Vocabulary& written, const std::vector<std::pair<std::string, std::string>>& merges,
               bool whole_words_first);
  void encode(std::string_view word, std::vector<TokenId>& out) const override;
  const TokenId* find(std::string_view token) const override;
  TokenId highest() const override { return highest_; }
  void mark_words(std::vector<WordPart>& parts) const override;

 private:
  struct Merge {
    std::uint32_t rank;
    TokenId token;
  };
  const Merge* merge(TokenId a, TokenId b) const;
  void join_short(std::vector<TokenId>& tokens) const;
  void join_long(std::vector<TokenId>& tokens) const;

  Vocabulary by_bytes_;
  std::array<TokenId, 256> byte_tokens_{};
  std::unordered_map<std::uint64_t, Merge> merges_;
  TokenId highest_ = 0;
  bool whole_words_first_;
};

// The longest token that begins the word, then the longest that goes on; all or nothing.
class WordPiece final : public WordModel {
 public:
  WordPiece(Vocabulary vocabulary, TokenId unknown, std::string continuation, std::size_t longest_word);
  void encode(std::string_view word, std::vector<TokenId>& out) const override;
  const TokenId* find(std::string_view token) const override;
  TokenId highest() const override { return highest_; }
  void mark_words(std::vector<WordPart>& parts) const override;

 private:
  Vocabulary begins_, goes_on_;  // the latter without their mark
  std::string continuation_;
  TokenId unknown_, highest_ = 0;
  std::size_t longest_word_, longest_token_ = 0;
};

// The bytes that a token in the byte-level alphabet stands for; empty where it has other letters.
std::string bytes_of_letters(std::string_view token);

}  // namespace trellis::data
