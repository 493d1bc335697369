#include "public_weights.h"

#include <fmt/format.h>

#include "trellis/plan/public_block.h"

namespace trellis::t5 {
namespace {

void map_attention(const PublicBlock& block, const std::string& ours, const std::string& layer, const std::string& theirs) {
  for (const auto& [product, name] : {std::pair(".q", ".q"), {".k", ".k"}, {".v", ".v"}, {".out", ".o"}})
    block.linear(ours + product, layer + theirs + name, false);
  block.linear(ours + ".norm", layer + "layer_norm", false);
}

void map_mlp(const T5Options& o, const PublicBlock& block, const std::string& layer) {
  const bool gated = o.activation == "gated_gelu";
  if (gated) block.linear("mlp.gate", layer + "DenseReluDense.wi_0", false);
  block.linear("mlp.up", layer + (gated ? "DenseReluDense.wi_1" : "DenseReluDense.wi"), false);
  block.linear("mlp.down", layer + "DenseReluDense.wo", false);
  block.linear("mlp.norm", layer + "layer_norm", false);
}

}  // namespace

CanonicalName T5Weights::canonical(std::string_view tensor) const {
  const bool unused = tensor.ends_with(".EncDecAttention.relative_attention_bias.weight");
  return {.name = std::string(tensor), .dropped = unused ? "cross attention has no bias by distance" : ""};
}

// The table of the biases by distance is in a side's first block, and all blocks of the side use it.
WeightMap T5Weights::map(const Options& options, const ModelSpec& model) const {
  const T5Options o = T5Options::read(options);
  WeightMap map(model);
  PublicBlock(map, 0, "").add("token.weight", "shared.weight", {.rows = o.vocab});
  int layer = 1;
  for (int i = 0; i < o.layers; ++i, ++layer) {
    const PublicBlock block(map, layer, fmt::format("encoder.block.{}.", i));
    map_attention(block, "attn", "layer.0.", "SelfAttention");
    if (i == 0)
      block.reshaped("attn.core.bias", "layer.0.SelfAttention.relative_attention_bias.weight", {o.buckets, o.heads});
    map_mlp(o, block, "layer.1.");
  }
  PublicBlock(map, layer++, "encoder.").linear("norm", "final_layer_norm", false);
  for (int i = 0; i < o.decoder_layers; ++i, ++layer) {
    const PublicBlock block(map, layer, fmt::format("decoder.block.{}.", i));
    map_attention(block, "attn", "layer.0.", "SelfAttention");
    if (i == 0)
      block.reshaped("attn.core.bias", "layer.0.SelfAttention.relative_attention_bias.weight", {o.buckets, o.heads});
    map_attention(block, "cross", "layer.1.", "EncDecAttention");
    map_mlp(o, block, "layer.2.");
  }
  PublicBlock(map, layer, "decoder.").linear("norm", "final_layer_norm", false);
  for (const char* side : {"encoder", "decoder"}) map.duplicate(fmt::format("{}.embed_tokens.weight", side), "shared.weight");
  if (o.tied) map.duplicate("lm_head.weight", "shared.weight");
  else PublicBlock(map, layer, "").linear("lm_head", "lm_head", false, {.rows = o.vocab});
  return map;
}

}  // namespace trellis::t5
