#include "data/tokenizer/pipeline.h"

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

// Names under which tokenizers know the end of a document, the likeliest first.
constexpr std::string_view kEnds[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[SEP]"};

class Pipeline final : public Tokenizer {
 public:
  explicit Pipeline(PipelineParts parts) : parts_(std::move(parts)) {
    std::vector<AddedToken> raw, normalized;
    std::stable_partition(parts_.added.begin(), parts_.added.end(), [](const AddedToken& t) { return t.special; });
    highest_ = parts_.model->highest();
    for (AddedToken token : parts_.added) {
      highest_ = std::max(highest_, token.id);
      if (token.normalized) token.content = normalize(parts_.normalizer, token.content);
      if (token.content.empty()) continue;
      (token.normalized ? normalized : raw).push_back(std::move(token));
    }
    raw_ = AddedTokens(std::move(raw));
    normalized_ = AddedTokens(std::move(normalized));
  }

  std::string kind() const override { return parts_.kind; }
  std::int64_t vocab() const override { return std::int64_t{highest_} + 1; }
  std::optional<TokenId> find(std::string_view token) const override {
    for (const AddedToken& added : parts_.added)
      if (added.content == token) return added.id;
    const TokenId* found = parts_.model->find(token);
    return found ? std::optional(*found) : std::nullopt;
  }
  std::optional<TokenId> end_of_document() const override {
    for (const std::string_view name : kEnds)
      if (const auto found = find(name)) return found;
    return std::nullopt;
  }
  std::unique_ptr<Encoder> encoder() const override;
  std::vector<WordPart> word_parts() const override {
    std::vector<WordPart> parts(static_cast<std::size_t>(vocab()), WordPart::apart);
    parts_.model->mark_words(parts);
    for (const AddedToken& token : parts_.added) parts[static_cast<std::size_t>(token.id)] = WordPart::apart;
    return parts;
  }

 private:
  friend class PipelineEncoder;
  PipelineParts parts_;
  AddedTokens raw_, normalized_;
  TokenId highest_ = 0;
};

class PipelineEncoder final : public Encoder {
 public:
  explicit PipelineEncoder(const Pipeline& of) : Encoder(true), of_(of) {}

 private:
  void encode_valid(std::string_view text, std::vector<TokenId>& out) override {
    const auto added = [&](TokenId id) { out.push_back(id); };
    const auto plain = [&](std::string_view piece) { words(piece, out); };
    of_.raw_.split(
        text,
        [&](std::string_view piece) {
          if (of_.parts_.normalizer.empty()) return of_.normalized_.split(piece, plain, added);
          of_.normalized_.split(normalize(of_.parts_.normalizer, piece), plain, added);
        },
        added);
  }

  void words(std::string_view text, std::vector<TokenId>& out) {
    const auto encode = [&](std::string_view word) {
      cache_.encode(word, out, [&](std::vector<TokenId>& tokens) { of_.parts_.model->encode(word, tokens); });
    };
    const CutStep* steps = of_.parts_.cuts.data();
    cut(steps, steps + of_.parts_.cuts.size(), text, encode);
  }

  const Pipeline& of_;
  WordCache cache_;
};

std::unique_ptr<Encoder> Pipeline::encoder() const { return std::make_unique<PipelineEncoder>(*this); }

}  // namespace

std::shared_ptr<const Tokenizer> make_pipeline(PipelineParts parts) {
  return std::make_shared<Pipeline>(std::move(parts));
}

}  // namespace trellis::data
