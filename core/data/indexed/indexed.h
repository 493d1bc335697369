// Megatron-LM's indexed files: PREFIX.bin has the tokens of all sequences one after another, PREFIX.idx says how long
// each sequence is, and of which sequences a document is made.
//
// The .idx, little-endian: "MMIDIDX\0\0", u64 version 1, u8 code of the tokens' type, u64 sequences, u64 documents + 1,
// i32 length of each sequence, i64 place of each sequence in the .bin in bytes, i64 first sequence of each document and
// one past the last.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/indexed/mapped_file.h"
#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// By the format's codes. Those of floating-point numbers (6, 7) are no tokens.
enum class TokenType : std::uint8_t { u8 = 1, i8 = 2, i16 = 3, i32 = 4, i64 = 5, u16 = 8 };
TRELLIS_API std::size_t size_of(TokenType type);
TRELLIS_API std::string_view name_of(TokenType type);
// The type that Megatron-LM takes for a vocabulary: u16 below 65,500 tokens, else i32.
TRELLIS_API TokenType type_for(std::int64_t vocab);

// PREFIX of PREFIX, PREFIX.bin or PREFIX.idx.
TRELLIS_API std::filesystem::path indexed_prefix(const std::filesystem::path& path);
TRELLIS_API std::filesystem::path with_suffix(const std::filesystem::path& prefix, const char* suffix);

// Both files, mapped, and checked as a whole when they are opened: Error (bad_input) where anything is not as the
// writer leaves it, or where they disagree. Thread-safe.
class TRELLIS_API IndexedFile {
 public:
  explicit IndexedFile(const std::filesystem::path& path);

  const std::filesystem::path& prefix() const { return prefix_; }
  TokenType type() const { return type_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t sequences() const { return static_cast<std::int64_t>(lengths_.size() / sizeof(std::int32_t)); }
  std::int64_t documents() const { return static_cast<std::int64_t>(documents_.size() / sizeof(std::int64_t)) - 1; }

  // Tokens [begin, begin + out.size()) of all documents joined.
  void read(std::int64_t begin, std::span<std::int64_t> out) const;
  std::int32_t length(std::int64_t sequence) const;
  std::int64_t first_sequence(std::int64_t document) const;

 private:
  void read_header();
  void check_sequences() const;
  void check_documents() const;
  [[noreturn]] void reject(std::string message, std::string hint = {}) const;

  std::filesystem::path prefix_;
  MappedFile index_, data_;
  TokenType type_ = TokenType::u16;
  std::int64_t tokens_ = 0;
  std::span<const std::byte> lengths_, pointers_, documents_;  // not aligned
};

// Writes both files, a document at a time. Nothing stands under their names before commit(), and nothing is left behind
// without it.
class TRELLIS_API IndexedWriter {
 public:
  IndexedWriter(const std::filesystem::path& prefix, TokenType type);
  ~IndexedWriter();
  IndexedWriter(const IndexedWriter&) = delete;
  IndexedWriter& operator=(const IndexedWriter&) = delete;

  void add(std::span<const TokenId> document);  // one sequence; may be empty
  void commit();
  std::int64_t tokens() const { return tokens_; }
  std::int64_t documents() const { return static_cast<std::int64_t>(lengths_.size()); }

 private:
  class Output;
  void flush();

  std::filesystem::path prefix_;
  TokenType type_;
  std::unique_ptr<Output> bin_;
  std::string buffer_;
  std::vector<std::int32_t> lengths_;
  std::int64_t tokens_ = 0;
};

}  // namespace trellis::data
