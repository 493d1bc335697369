#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "data/tokenizer/pipeline.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSentencePieceSpace = "\u2581";

class SentencePieceEncoder final : public Encoder {
 public:
  SentencePieceEncoder(const SentencePieceProcessor& of) : Encoder(true), of_(of) {}

 private:
  void encode_valid(std::string_view text, std::vector<TokenId>& out) override {
    std::vector<int> ids;
    const auto status = of_.Encode({text.data(), text.size()}, &ids);
    if (!status.ok()) fail("sentencepiece: {}", status.ToString());
    out.insert(out.end(), ids.begin(), ids.end());
  }
  const SentencePieceProcessor& of_;
};

// Unigram, BPE, words or characters: whatever the model says, with byte fallback.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(const std::filesystem::path& file) {
    const auto status = processor_.LoadFromSerializedProto(read_file(file));
    if (!status.ok() || processor_.GetPieceSize() <= 0)
      throw Error(ExitCode::bad_input, "no SentencePiece model, or a damaged one", status.ToString(), {file.string()});
  }

  std::string kind() const override { return "SentencePiece"; }
  std::int64_t vocab() const override { return processor_.GetPieceSize(); }
  std::optional<TokenId> find(std::string_view token) const override {
    const int id = processor_.PieceToId({token.data(), token.size()});
    const bool known = id >= 0 && id < processor_.GetPieceSize() && processor_.IdToPiece(id) == token;
    return known ? std::optional<TokenId>(id) : std::nullopt;
  }
  std::optional<TokenId> end_of_document() const override {
    return processor_.eos_id() >= 0 ? std::optional<TokenId>(processor_.eos_id()) : std::nullopt;
  }
  std::unique_ptr<Encoder> encoder() const override { return std::make_unique<SentencePieceEncoder>(processor_); }
  std::vector<WordPart> word_parts() const override {
    std::vector<WordPart> parts;
    for (int id = 0; id < processor_.GetPieceSize(); ++id)
      parts.push_back(processor_.IsControl(id) || processor_.IsUnused(id)          ? WordPart::apart
                      : processor_.IdToPiece(id).starts_with(kSentencePieceSpace) ? WordPart::begins
                                                                                  : WordPart::goes_on);
    return parts;
  }

 private:
  SentencePieceProcessor processor_;
};

}  // namespace

std::shared_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& model) {
  return std::make_shared<SentencePieceTokenizer>(model);
}

}  // namespace trellis::data
