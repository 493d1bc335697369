// Tokenizers: text to the numbers of tokens, as the public package of each does it, without what that package adds
// around a text ([CLS], <s>): a document is its tokens, and who joins documents ends each as it likes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis::data {

using TokenId = std::int32_t;

// Does the work of one thread, and remembers words.
class TRELLIS_API Encoder {
 public:
  virtual ~Encoder();
  // Appends the tokens of the text. Error (bad_input) with `name` and the place where the text is not UTF-8, if it must
  // be; the text of the error names nothing else.
  void encode(std::string_view text, const std::string& name, std::vector<TokenId>& out);

 protected:
  explicit Encoder(bool needs_utf8) : needs_utf8_(needs_utf8) {}

 private:
  virtual void encode_valid(std::string_view text, std::vector<TokenId>& out) = 0;
  bool needs_utf8_;
};

// How a token stands in the words of a text.
enum class WordPart : std::uint8_t {
  begins,   // a word
  goes_on,  // with the word of the token before
  apart,    // is no part of a word, and the next token begins one: white space, [SEP]
};

inline constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";  // between words, of ASCII

// Immutable and thread-safe.
class TRELLIS_API Tokenizer {
 public:
  virtual ~Tokenizer();
  virtual std::string kind() const = 0;                                    // "byte-level BPE"
  virtual std::int64_t vocab() const = 0;                                  // all numbers are below it
  virtual std::optional<TokenId> find(std::string_view token) const = 0;   // by its text: "<|endoftext|>"
  virtual std::optional<TokenId> end_of_document() const = 0;              // the one that the tokenizer has for it
  virtual std::unique_ptr<Encoder> encoder() const = 0;                    // lives no longer than the tokenizer
  // By number, vocab() of them. As the kind writes words: WordPiece goes on with ##, others begin with a space. The byte
  // tokenizer's words are what is between white space.
  virtual std::vector<WordPart> word_parts() const = 0;
};

inline constexpr std::string_view kByteTokenizer = "byte";

// "byte"; a file tokenizer.json, vocab.json (with merges.txt beside it), vocab.txt, *.model (SentencePiece); or a
// folder with one of them, as of public weights. Error: bad_input for what is wrong in a file, unsupported for a
// component that is not known, with what is.
TRELLIS_API std::shared_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& path);

struct TokenizerFile {
  std::filesystem::path path;
  std::string name;  // under which a folder of public weights has it
  bool operator==(const TokenizerFile&) const = default;
};
// The files that make the tokenizer, which belong beside weights trained with it; none for "byte".
TRELLIS_API std::vector<TokenizerFile> tokenizer_files(const std::filesystem::path& path);

}  // namespace trellis::data
