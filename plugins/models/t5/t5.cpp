// Family t5: encoder and decoder with biases by distance, which all layers of a side share (Raffel et al. 2020).
#include <cmath>
#include <memory>

#include "options.h"
#include "public_weights.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace trellis::t5 {
namespace {

constexpr const char* kTable = "embedding.weight";  // of the encoder, of the decoder, of a tied head
const LayerBuilder::Names kSource{"batch", "source"}, kTarget{"batch", "target"};

double over_root(const T5Options& o, std::int64_t n) { return o.init_factor / std::sqrt(static_cast<double>(n)); }

ValueId embedded(LayerBuilder& b, const T5Options& o, ValueId ids) {
  return b.dropout("token.dropout", b.embedding("token", ids, "vocab", std::string(kLinear), o.init_factor, kTable), o.dropout);
}

// x + attention of norm(x) over `memory`, or over itself. Scores are not scaled: the initial weights of q are.
ValueId attention(LayerBuilder& b, const T5Options& o, const std::string& name, ValueId x, ValueId memory,
                  AttentionOptions options) {
  const ValueId h = b.rms_norm(name + ".norm", x, o.norm_eps), from = memory >= 0 ? memory : h;
  const double q_std = over_root(o, o.hidden * o.head_dim), kv_std = over_root(o, o.hidden);
  const ValueId q = b.linear(name + ".q", h, {"heads", "queries_per_head", "head_dim"}, false, q_std);
  const ValueId k = b.linear(name + ".k", from, {"heads", "head_dim"}, false, kv_std);
  const ValueId v = b.linear(name + ".v", from, {"heads", "head_dim"}, false, kv_std);
  options.scale = 1;
  options.dropout = o.attention_dropout;
  const ValueId a = b.linear(name + ".out", b.attention(name + ".core", q, k, v, options), {"hidden"}, false,
                             over_root(o, o.heads * o.head_dim));
  return b.add(name + ".sum", x, b.dropout(name + ".dropout", a, o.dropout));
}

AttentionOptions with_bias(const T5Options& o, bool causal, const char* shared) {
  return {.causal = causal, .buckets = "buckets", .max_distance = o.max_distance, .bias_std = over_root(o, o.hidden), .shared = shared};
}

ValueId mlp(LayerBuilder& b, const T5Options& o, ValueId x) {
  const ValueId h = b.rms_norm("mlp.norm", x, o.norm_eps);
  const double in = over_root(o, o.hidden), out = over_root(o, o.ffn);
  ValueId y = b.linear("mlp.up", h, {"ffn"}, false, in);
  if (o.activation == "relu") y = b.relu("mlp.act", y);
  else y = b.multiply("mlp.gated", b.gelu("mlp.act", b.linear("mlp.gate", h, {"ffn"}, false, in), /*tanh=*/true), y);
  y = b.linear("mlp.down", b.dropout("mlp.inner_dropout", y, o.dropout), {"hidden"}, false, out);
  return b.add("mlp.sum", x, b.dropout("mlp.dropout", y, o.dropout));
}

LayerSpec embedding(const T5Options& o) {
  LayerBuilder b("embedding", o.dims());
  b.output("hidden", embedded(b, o, b.field("ids", kSource)));
  return b.build();
}

LayerSpec encoder_block(const T5Options& o) {
  LayerBuilder b("encoder_block", o.dims());
  const ValueId x = b.input("hidden", {"batch", "source", "hidden"});
  AttentionOptions options = with_bias(o, false, "encoder.distance.weight");
  options.mask = b.field("mask", kSource);
  b.output("hidden", mlp(b, o, attention(b, o, "attn", x, -1, options)));
  return b.build();
}

// The end of the encoder, and the beginning of the decoder.
LayerSpec decoder_embedding(const T5Options& o) {
  LayerBuilder b("decoder_embedding", o.dims());
  const ValueId x = b.rms_norm("norm", b.input("hidden", {"batch", "source", "hidden"}), o.norm_eps);
  b.output("memory", b.dropout("dropout", x, o.dropout));
  b.output("hidden", embedded(b, o, b.field("decoder_ids", kTarget)));
  return b.build();
}

// The encoder's memory is read by all layers of the decoder, and ends with the last one.
LayerSpec decoder_block(const T5Options& o, bool last) {
  LayerBuilder b(last ? "last_decoder_block" : "decoder_block", o.dims());
  const ValueId memory = b.input("memory", {"batch", "source", "hidden"});
  ValueId x = b.input("hidden", {"batch", "target", "hidden"});
  x = attention(b, o, "attn", x, -1, with_bias(o, true, "decoder.distance.weight"));
  x = attention(b, o, "cross", x, memory, {.mask = b.field("mask", kSource)});
  if (!last) b.output("memory", memory);
  b.output("hidden", mlp(b, o, x));
  return b.build();
}

LayerSpec head(const T5Options& o) {
  LayerBuilder b("head", o.dims());
  ValueId x = b.rms_norm("norm", b.input("hidden", {"batch", "target", "hidden"}), o.norm_eps);
  x = b.dropout("dropout", x, o.dropout);
  if (o.scaled) x = b.scale("scale", x, 1 / std::sqrt(static_cast<double>(o.hidden)));
  b.loss(b.cross_entropy("lm_head", x, b.field("labels", kTarget), "vocab", o.vocab, o.init_factor, o.tied ? kTable : "",
                         o.loss_chunk));
  return b.build();
}

class T5 final : public ModelFamily {
  ModelSpec describe(const Options& options) const override {
    const T5Options o = T5Options::read(options);
    ModelSpec model{.family = "t5",
                    .summary = fmt::format("{} + {} layers, hidden {}", o.layers, o.decoder_layers, o.hidden),
                    .layers = {},
                    .sequence = o.sequence,
                    .vocab = o.vocab,
                    .properties = {}};
    const auto add = [&](std::int64_t count, LayerSpec layer) {
      model.layers.insert(model.layers.end(), static_cast<std::size_t>(count), std::make_shared<const LayerSpec>(std::move(layer)));
    };
    add(1, embedding(o));
    add(o.layers, encoder_block(o));
    add(1, decoder_embedding(o));
    add(o.decoder_layers - 1, decoder_block(o, /*last=*/false));
    add(1, decoder_block(o, /*last=*/true));
    add(1, head(o));
    model.properties = {{"heads", fmt::format("{}", o.heads)},
                        {"head dim", fmt::format("{}", o.head_dim)},
                        {"ffn", fmt::format("{}, {}", o.ffn, o.activation)},
                        {"vocabulary", fmt::format("{}, padded to {}", o.vocab, o.padded_vocab())},
                        {"sequences", fmt::format("{} and {}", o.sequence, o.target)},
                        {"parameters", fmt::format("{}", parameter_elements(model))}};
    return model;
  }

  Options shrink(const Options& options) const override { return T5Options::read(options).shrunk().written(); }

  const void* extension(std::string_view id) const override {
    return id == kPublicWeights ? static_cast<const PublicWeights*>(&weights_) : nullptr;
  }

  T5Weights weights_;
};

}  // namespace
}  // namespace trellis::t5

TRELLIS_PLUGIN("t5", "1.0.0") { registrar.add<trellis::t5::T5>(); }
