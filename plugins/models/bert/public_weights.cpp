#include "public_weights.h"

#include <fmt/format.h>

#include "trellis/plan/public_block.h"

namespace trellis::bert {
namespace {

constexpr const char *kWords = "masked-LM head", *kPooler = "pooler", *kFollowers = "next-sentence head",
                     *kClasses = "classifier";

// Everything that tells words apart. Without tying the bias has two names, of which the library reads one.
void map_words(const BertOptions& o, const PublicBlock& head, WeightMap& map) {
  head.linear("transform", "predictions.transform.dense", true, {.head = kWords});
  head.linear("transform.norm", "predictions.transform.LayerNorm", true, {.head = kWords});
  const WeightForm rows{.rows = o.vocab, .head = kWords};
  head.add("decoder.bias", "predictions.bias", rows);
  if (o.tied) map.duplicate("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight");
  if (!o.tied) head.linear("decoder", "predictions.decoder", true, rows);
  map.duplicate(o.tied ? "cls.predictions.decoder.bias" : "cls.predictions.bias",
                o.tied ? "cls.predictions.bias" : "cls.predictions.decoder.bias");
}

}  // namespace

CanonicalName BertWeights::canonical(std::string_view tensor) const {
  std::string name(tensor);
  for (const char* part : {"embeddings.", "encoder.", "pooler."})
    if (tensor.starts_with(part)) name = "bert." + name;
  const auto renamed = [&](std::string_view old, std::string_view now) {
    if (name.ends_with(old)) name.replace(name.size() - old.size(), old.size(), now);
  };
  renamed(".LayerNorm.gamma", ".LayerNorm.weight");
  renamed(".LayerNorm.beta", ".LayerNorm.bias");
  const bool counted = name == "bert.embeddings.position_ids", zeros = name == "bert.embeddings.token_type_ids";
  return {.name = name,
          .dropped = counted ? "positions, which are counted" : zeros ? "segments of no input, which are zeros" : ""};
}

WeightMap BertWeights::map(const Options& options, const ModelSpec& model) const {
  const BertOptions o = BertOptions::read(options);
  WeightMap map(model);
  const PublicBlock embedding(map, 0, "bert.embeddings.");
  embedding.add("token.weight", "word_embeddings.weight", {.rows = o.vocab});
  embedding.add("position.weight", "position_embeddings.weight");
  embedding.add("segment.weight", "token_type_embeddings.weight");
  embedding.linear("norm", "LayerNorm", true);
  for (int i = 0; i < o.layers; ++i) {
    const PublicBlock block(map, i + 1, fmt::format("bert.encoder.layer.{}.", i));
    block.linear("attn.q", "attention.self.query", true);
    block.linear("attn.k", "attention.self.key", true);
    block.linear("attn.v", "attention.self.value", true);
    block.linear("attn.out", "attention.output.dense", true);
    block.linear("attn.norm", "attention.output.LayerNorm", true);
    block.linear("mlp.up", "intermediate.dense", true);
    block.linear("mlp.down", "output.dense", true);
    block.linear("mlp.norm", "output.LayerNorm", true);
  }
  const int last = static_cast<int>(o.layers) + 1;
  if (o.task != "masked_lm") PublicBlock(map, last, "bert.").linear("pooler", "pooler.dense", true, {.head = kPooler});
  if (o.task != "classification") map_words(o, PublicBlock(map, last, "cls."), map);
  if (o.task == "pretraining")
    PublicBlock(map, last, "cls.").linear("next_sentence", "seq_relationship", true, {.head = kFollowers});
  if (o.task == "classification") PublicBlock(map, last, "").linear("classifier", "classifier", true, {.head = kClasses});
  for (const char* prefix : {"bert.pooler.", "cls.", "classifier."})
    map.unused(prefix, fmt::format("task {} does not use it", o.task));
  return map;
}

}  // namespace trellis::bert
