#include "public_weights.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "trellis/plan/public_block.h"

namespace trellis::vit {
namespace {

// Parts of a block as the public library calls them in memory, and in the files.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kParts = {
    {{"attention.q_proj.", "attention.attention.query."},
     {"attention.k_proj.", "attention.attention.key."},
     {"attention.v_proj.", "attention.attention.value."},
     {"attention.o_proj.", "attention.output.dense."},
     {"mlp.fc1.", "intermediate.dense."},
     {"mlp.fc2.", "output.dense."}}};

}  // namespace

CanonicalName VitWeights::canonical(std::string_view tensor) const {
  std::string name(tensor);
  for (const char* part : {"embeddings.", "encoder.", "layers.", "layernorm.", "pooler."})
    if (tensor.starts_with(part)) name = "vit." + name;
  if (name.starts_with("vit.layers.")) {
    name = "vit.encoder.layer." + name.substr(std::string_view("vit.layers.").size());
    for (const auto& [memory, file] : kParts)
      if (const std::size_t at = name.find(memory); at != std::string::npos) name.replace(at, memory.size(), file);
  }
  const bool mask = name == "vit.embeddings.mask_token";
  return {.name = name, .dropped = mask ? "what stands for masked patches, of which there are none" : ""};
}

// A patch is channel by channel, and row by row within it, as in the convolution's weight.
WeightMap VitWeights::map(const Options& options, const ModelSpec& model) const {
  const VitOptions o = VitOptions::read(options);
  WeightMap map(model);
  const PublicBlock embedding(map, 0, "vit.embeddings.");
  embedding.reshaped("class_token", "cls_token", {1, 1, o.hidden});
  embedding.reshaped("position.weight", "position_embeddings", {1, o.sequence(), o.hidden});
  embedding.reshaped("patch.weight", "patch_embeddings.projection.weight",
                     {o.hidden, o.channels, o.patch_size, o.patch_size});
  embedding.add("patch.bias", "patch_embeddings.projection.bias");
  map.grid("vit.embeddings.position_embeddings", 1);
  for (int i = 0; i < o.layers; ++i) {
    const PublicBlock block(map, i + 1, fmt::format("vit.encoder.layer.{}.", i));
    block.linear("ln_1", "layernorm_before", true);
    block.linear("attn.q", "attention.attention.query", o.qkv_bias);
    block.linear("attn.k", "attention.attention.key", o.qkv_bias);
    block.linear("attn.v", "attention.attention.value", o.qkv_bias);
    block.linear("attn.out", "attention.output.dense", true);
    block.linear("ln_2", "layernorm_after", true);
    block.linear("mlp.up", "intermediate.dense", true);
    block.linear("mlp.down", "output.dense", true);
  }
  const int last = static_cast<int>(o.layers) + 1;
  PublicBlock(map, last, "vit.").linear("norm", "layernorm", true);
  PublicBlock(map, last, "").linear("classifier", "classifier", true, {.rows = o.classes, .head = "classifier"});
  map.unused("vit.pooler.", "the classifier reads the class token itself");
  map.unused("decoder.", "a head that draws masked patches");
  return map;
}

}  // namespace trellis::vit
