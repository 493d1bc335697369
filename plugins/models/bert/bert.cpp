// Family bert: encoders whose norms follow each part (Devlin et al. 2019), with heads for masked tokens, for whether a
// sentence follows another, and for classes.
#include <memory>

#include "options.h"
#include "public_weights.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace trellis::bert {
namespace {

constexpr const char* kTable = "embedding.weight";  // what a tied head shares with the embedding
const LayerBuilder::Names kTokens{"batch", "sequence"};

ValueId activated(LayerBuilder& b, const BertOptions& o, std::string name, ValueId x) {
  if (o.activation == "relu") return b.relu(std::move(name), x);
  return b.gelu(std::move(name), x, /*tanh=*/o.activation == "gelu");
}

LayerSpec embedding(const BertOptions& o) {
  LayerBuilder b("embedding", o.dims());
  const bool shared = o.tied && o.task != "classification";
  const ValueId token =
      b.embedding("token", b.field("ids", kTokens), "vocab", std::string(kLinear), o.init_std, shared ? kTable : "", o.pad_token);
  const auto residual = std::string(kResidual);
  const ValueId position = b.embedding("position", b.field("positions", kTokens), "positions", residual, o.init_std);
  const ValueId segment = b.embedding("segment", b.field("segments", kTokens), "segments", residual, o.init_std);
  const ValueId x = b.add("sum", b.add("token_sum", token, position), segment);
  b.output("hidden", b.dropout("dropout", b.layer_norm("norm", x, o.norm_eps), o.dropout));
  return b.build();
}

LayerSpec block(const BertOptions& o) {
  LayerBuilder b("block", o.dims());
  ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  const ValueId mask = b.field("mask", kTokens);

  const ValueId q = b.linear("attn.q", x, {"heads", "queries_per_head", "head_dim"}, true, o.init_std);
  const ValueId k = b.linear("attn.k", x, {"heads", "head_dim"}, true, o.init_std);
  const ValueId v = b.linear("attn.v", x, {"heads", "head_dim"}, true, o.init_std);
  ValueId h = b.attention("attn.core", q, k, v, {.dropout = o.attention_dropout, .mask = mask});
  h = b.linear("attn.out", h, {"hidden"}, true, o.init_std);
  x = b.layer_norm("attn.norm", b.add("attn.sum", x, b.dropout("attn.dropout", h, o.dropout)), o.norm_eps);

  h = activated(b, o, "mlp.act", b.linear("mlp.up", x, {"ffn"}, true, o.init_std));
  h = b.linear("mlp.down", h, {"hidden"}, true, o.init_std);
  x = b.layer_norm("mlp.norm", b.add("mlp.sum", x, b.dropout("mlp.dropout", h, o.dropout)), o.norm_eps);
  b.output("hidden", x);
  return b.build();
}

LayerSpec head(const BertOptions& o) {
  LayerBuilder b("head", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  if (o.task != "classification") {
    ValueId h = activated(b, o, "transform.act", b.linear("transform", x, {"hidden"}, true, o.init_std));
    h = b.layer_norm("transform.norm", h, o.norm_eps);
    b.loss(b.cross_entropy("decoder", h, b.field("labels", kTokens), "vocab", o.vocab, o.init_std,
                           o.tied ? kTable : "", o.loss_chunk, /*bias=*/true));
    if (o.task == "masked_lm") return b.build();
  }
  const ValueId pooled = b.tanh("pooler.act", b.linear("pooler", b.pick("first", x, 0), {"hidden"}, true, o.init_std));
  if (o.task == "pretraining")
    b.loss(b.cross_entropy("next_sentence", pooled, b.field("next_sentence_labels", {"batch"}), "followers", 2,
                           o.init_std, {}, o.loss_chunk, /*bias=*/true));
  else
    b.loss(b.cross_entropy("classifier", b.dropout("dropout", pooled, o.dropout), b.field("labels", {"batch"}),
                           "classes", o.classes, o.init_std, {}, o.loss_chunk, /*bias=*/true));
  return b.build();
}

class Bert final : public ModelFamily {
  ModelSpec describe(const Options& options) const override {
    const BertOptions o = BertOptions::read(options);
    ModelSpec model{.family = "bert",
                    .summary = fmt::format("{}, {} layers, hidden {}", o.task, o.layers, o.hidden),
                    .layers = {},
                    .sequence = o.sequence,
                    .vocab = o.vocab,
                    .properties = {}};
    model.layers.push_back(std::make_shared<const LayerSpec>(embedding(o)));
    model.layers.insert(model.layers.end(), static_cast<std::size_t>(o.layers),
                        std::make_shared<const LayerSpec>(block(o)));
    model.layers.push_back(std::make_shared<const LayerSpec>(head(o)));
    model.properties = {{"task", o.task},
                        {"heads", fmt::format("{}", o.heads)},
                        {"head dim", fmt::format("{}", o.head_dim)},
                        {"ffn", fmt::format("{}", o.ffn)},
                        {"vocabulary", fmt::format("{}, padded to {}", o.vocab, o.padded_vocab())},
                        {"sequence", fmt::format("{}", o.sequence)},
                        {"parameters", fmt::format("{}", parameter_elements(model))}};
    return model;
  }

  Options shrink(const Options& options) const override { return BertOptions::read(options).shrunk().written(); }

  const void* extension(std::string_view id) const override {
    return id == kPublicWeights ? static_cast<const PublicWeights*>(&weights_) : nullptr;
  }

  BertWeights weights_;
};

}  // namespace
}  // namespace trellis::bert

TRELLIS_PLUGIN("bert", "1.0.0") { registrar.add<trellis::bert::Bert>(); }
