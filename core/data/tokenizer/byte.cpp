#include "data/tokenizer/pipeline.h"

namespace trellis::data {
namespace {

constexpr TokenId kEnd = 256;

class ByteEncoder final : public Encoder {
 public:
  ByteEncoder() : Encoder(false) {}

 private:
  void encode_valid(std::string_view text, std::vector<TokenId>& out) override {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  }
};

// A byte is a token, and one more ends a document.
class ByteTokenizer final : public Tokenizer {
 public:
  std::string kind() const override { return std::string(kByteTokenizer); }
  std::int64_t vocab() const override { return kEnd + 1; }
  std::optional<TokenId> find(std::string_view token) const override {
    return token.size() == 1 ? std::optional<TokenId>(static_cast<unsigned char>(token[0])) : std::nullopt;
  }
  std::optional<TokenId> end_of_document() const override { return kEnd; }
  std::unique_ptr<Encoder> encoder() const override { return std::make_unique<ByteEncoder>(); }
  std::vector<WordPart> word_parts() const override {
    std::vector<WordPart> parts(kEnd + 1, WordPart::goes_on);
    for (const char space : kWhiteSpace) parts[static_cast<unsigned char>(space)] = WordPart::apart;
    parts[kEnd] = WordPart::apart;
    return parts;
  }
};

}  // namespace

std::shared_ptr<const Tokenizer> make_byte_tokenizer() { return std::make_shared<ByteTokenizer>(); }

}  // namespace trellis::data
