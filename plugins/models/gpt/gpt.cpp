// Family gpt: decoder-only transformers with norms before each part, from GPT-2 to LLaMA.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "options.h"
#include "public_weights.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace trellis::gpt {
namespace {

constexpr const char* kTable = "embedding.weight";  // what a tied head shares with the embedding

ValueId norm(LayerBuilder& b, const GptOptions& o, std::string name, ValueId x) {
  return o.rms_norm ? b.rms_norm(std::move(name), x, o.norm_eps) : b.layer_norm(std::move(name), x, o.norm_eps, o.bias);
}

LayerSpec embedding(const GptOptions& o) {
  LayerBuilder b("embedding", o.dims());
  const ValueId ids = b.field("ids", {"batch", "sequence"});
  ValueId x = b.embedding("token", ids, "vocab", std::string(kLinear), o.init_std, o.tied ? kTable : "",
                          o.pad_token);
  if (!o.rotary) {
    const ValueId positions = b.field("positions", {"batch", "sequence"});
    x = b.add("sum", x, b.embedding("position", positions, "positions", std::string(kResidual), o.init_std));
  }
  b.output("hidden", b.dropout("dropout", x, o.embedding_dropout));
  return b.build();
}

LayerSpec block(const GptOptions& o, const std::string& type, bool windowed) {
  // Products that write to the residual stream start smaller, so that its variance does not grow with depth (GPT-2).
  const double out_std = o.init_std / std::sqrt(2.0 * static_cast<double>(o.layers));
  LayerBuilder b(type, o.dims());
  ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});

  ValueId h = norm(b, o, "ln_1", x);
  ValueId q = b.linear("attn.q", h, {"kv_heads", "queries_per_kv", "head_dim"}, o.qkv_bias, o.init_std);
  ValueId k = b.linear("attn.k", h, {"kv_heads", "head_dim"}, o.qkv_bias, o.init_std);
  const ValueId v = b.linear("attn.v", h, {"kv_heads", "head_dim"}, o.qkv_bias, o.init_std);
  if (o.rotary) {
    const ValueId positions = b.field("positions", {"batch", "sequence"});
    q = b.rotary("attn.rotary_q", q, positions, o.rope_theta, o.rope_scaling);
    k = b.rotary("attn.rotary_k", k, positions, o.rope_theta, o.rope_scaling);
  }
  ValueId a = b.attention("attn.core", q, k, v, {.causal = true, .window = windowed ? o.window : 0, .dropout = o.attention_dropout});
  a = b.linear("attn.out", a, {"hidden"}, o.out_bias, out_std);
  x = b.add("attn.sum", x, b.dropout("attn.dropout", a, o.dropout));

  h = norm(b, o, "ln_2", x);
  if (o.swiglu) {
    const ValueId gate = b.linear("mlp.gate", h, {"ffn"}, o.mlp_bias, o.init_std);
    const ValueId up = b.linear("mlp.up", h, {"ffn"}, o.mlp_bias, o.init_std);
    h = b.multiply("mlp.gated", b.silu("mlp.act", gate), up);
  } else {
    h = b.gelu("mlp.act", b.linear("mlp.up", h, {"ffn"}, o.mlp_bias, o.init_std), /*tanh=*/!o.gelu_exact);
  }
  h = b.linear("mlp.down", h, {"hidden"}, o.mlp_bias, out_std);
  b.output("hidden", b.add("mlp.sum", x, b.dropout("mlp.dropout", h, o.dropout)));
  return b.build();
}

LayerSpec head(const GptOptions& o) {
  LayerBuilder b("head", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  const ValueId labels = b.field("labels", {"batch", "sequence"});
  b.loss(b.cross_entropy("lm_head", norm(b, o, "ln_f", x), labels, "vocab", o.vocab, o.init_std, o.tied ? kTable : "",
                         o.loss_chunk));
  return b.build();
}

std::int64_t windowed_blocks(const GptOptions& o) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < o.layers; ++i) count += o.has_window(i) ? 1 : 0;
  return count;
}

// Blocks with a window and without are of two types where the model has both.
std::vector<std::shared_ptr<const LayerSpec>> blocks(const GptOptions& o) {
  std::vector<std::shared_ptr<const LayerSpec>> result;
  std::shared_ptr<const LayerSpec> full, windowed;
  const std::string type = windowed_blocks(o) == o.layers ? "block" : "window_block";
  for (std::int64_t i = 0; i < o.layers; ++i) {
    const bool has_window = o.has_window(i);
    std::shared_ptr<const LayerSpec>& kind = has_window ? windowed : full;
    if (!kind) kind = std::make_shared<const LayerSpec>(block(o, has_window ? type : "block", has_window));
    result.push_back(kind);
  }
  return result;
}

std::string window_text(const GptOptions& o) {
  const std::int64_t blocks = windowed_blocks(o);
  if (blocks == 0) return "none";
  return blocks == o.layers ? fmt::format("{}", o.window) : fmt::format("{} in {} of {} blocks", o.window, blocks, o.layers);
}

class Gpt final : public ModelFamily {
  ModelSpec describe(const Options& options) const override {
    const GptOptions o = GptOptions::read(options);
    ModelSpec model{.family = "gpt",
                    .summary = fmt::format("{} shape, {} layers, hidden {}", o.shape, o.layers, o.hidden),
                    .layers = {},
                    .sequence = o.sequence,
                    .vocab = o.vocab,
                    .properties = {}};
    model.layers.push_back(std::make_shared<const LayerSpec>(embedding(o)));
    for (auto& layer : blocks(o)) model.layers.push_back(std::move(layer));
    model.layers.push_back(std::make_shared<const LayerSpec>(head(o)));

    model.properties = {{"heads", fmt::format("{}", o.heads)},
                        {"kv heads", fmt::format("{}", o.kv_heads)},
                        {"head dim", fmt::format("{}", o.head_dim)},
                        {"ffn", fmt::format("{}", o.ffn)},
                        {"vocabulary", fmt::format("{}, padded to {}", o.vocab, o.padded_vocab())},
                        {"sequence", fmt::format("{}", o.sequence)},
                        {"window", window_text(o)},
                        {"parameters", fmt::format("{}", parameter_elements(model))}};
    return model;
  }

  Options shrink(const Options& options) const override { return GptOptions::read(options).shrunk().written(); }

  const void* extension(std::string_view id) const override {
    return id == kPublicWeights ? static_cast<const PublicWeights*>(&weights_) : nullptr;
  }

  GptWeights weights_;
};

}  // namespace
}  // namespace trellis::gpt

TRELLIS_PLUGIN("gpt", "1.0.0") { registrar.add<trellis::gpt::Gpt>(); }
