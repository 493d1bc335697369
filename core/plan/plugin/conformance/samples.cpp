#include "plan/plugin/conformance/samples.h"

#include "trellis/plan/builder.h"

namespace trellis::conformance {
namespace {

using Dims = std::vector<Dim>;
using Spec = std::shared_ptr<const LayerSpec>;

std::string text(std::string_view view) { return std::string(view); }

Dims dims(std::int64_t sequence, std::int64_t kv_heads, std::int64_t queries, std::int64_t head_dim, std::int64_t ffn,
          std::int64_t vocab) {
  return {{"batch", text(kBatch), 0},           {"sequence", text(kSequence), sequence},
          {"keys", text(kSequence), sequence},  {"hidden", text(kHidden), kv_heads * queries * head_dim},
          {"kv_heads", text(kHeads), kv_heads}, {"queries_per_kv", text(kHeads), queries},
          {"head_dim", text(kOther), head_dim}, {"ffn", text(kFfn), ffn},
          {"vocab", text(kVocab), vocab}};
}

const LayerBuilder::Names kStream = {"batch", "sequence", "hidden"};

Spec embedding(const Dims& d, const std::string& type = "embedding") {
  LayerBuilder b(type, d);
  b.output("hidden", b.embedding("token", b.field("ids", {"batch", "sequence"}), "vocab", text(kLinear), 0.02));
  return std::make_shared<const LayerSpec>(b.build());
}

Spec block(const std::string& type, const Dims& d) {
  LayerBuilder b(type, d);
  ValueId x = b.input("hidden", kStream);
  ValueId h = b.layer_norm("ln_1", x, 1e-5);
  const ValueId q = b.linear("attn.q", h, {"kv_heads", "queries_per_kv", "head_dim"}, true, 0.02);
  const ValueId k = b.linear("attn.k", h, {"kv_heads", "head_dim"}, true, 0.02);
  const ValueId v = b.linear("attn.v", h, {"kv_heads", "head_dim"}, true, 0.02);
  x = b.add("attn.sum", x, b.linear("attn.out", b.attention("attn.core", q, k, v, {.causal = true}), {"hidden"}, true, 0.02));
  h = b.gelu("mlp.act", b.linear("mlp.up", b.layer_norm("ln_2", x, 1e-5), {"ffn"}, true, 0.02), true);
  b.output("hidden",
           b.add("mlp.sum", x, b.dropout("mlp.dropout", b.linear("mlp.down", h, {"hidden"}, true, 0.02), 0.1)));
  return std::make_shared<const LayerSpec>(b.build());
}

Spec head(const Dims& d, const std::string& type = "head") {
  LayerBuilder b(type, d);
  const ValueId x = b.layer_norm("ln_f", b.input("hidden", kStream), 1e-5);
  const ValueId labels = b.field("labels", {"batch", "sequence"});
  b.loss(b.cross_entropy("lm_head", x, labels, "vocab", d.back().size, 0.02));
  return std::make_shared<const LayerSpec>(b.build());
}

// A product per sample, as a model of tables or pooled images has it.
Spec pooled() {
  LayerBuilder b("pooled", {{"batch", text(kBatch), 0}, {"hidden", text(kHidden), 6}, {"hidden_in", text(kHidden), 6}});
  b.output("hidden", b.linear("product", b.input("hidden", {"batch", "hidden"}), {"hidden"}, true, 0.02));
  return std::make_shared<const LayerSpec>(b.build());
}

}  // namespace

Layers divisible_layers() {
  const Dims d = dims(24, 6, 2, 4, 72, 96);
  return {embedding(d), block("block", d), head(d)};
}

Layers awkward_layers() {
  const Dims d = dims(7, 1, 1, 5, 11, 13);
  return {embedding(d, "odd_embedding"), block("odd_block", d), head(d, "odd_head"), pooled()};
}

Layers sample_layers() {
  Layers result = divisible_layers();
  for (const auto& layer : awkward_layers()) result.push_back(layer);
  return result;
}

std::vector<DeviceLine> sample_lines() { return {{{}}, {{2}}, {{3}}, {{2, 2}}, {{2, 3}}}; }

}  // namespace trellis::conformance
