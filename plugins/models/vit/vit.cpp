// Family vit: vision transformers with a class token and norms before each part (Dosovitskiy et al. 2021).
#include <memory>

#include "options.h"
#include "public_weights.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace trellis::vit {
namespace {

// The patches of an image are a field that already has a place for the class token, at position 0, where it is zero.
LayerSpec embedding(const VitOptions& o) {
  LayerBuilder b("embedding", o.dims());
  const ValueId patches = b.field("patches", {"batch", "sequence", "pixels"}, ValueKind::real);
  ValueId x = b.linear("patch", patches, {"hidden"}, /*bias=*/false, o.init_std);
  x = b.bias_at("patch.bias", x, 1, -1, Parameter::Init::zeros);
  x = b.bias_at("class_token", x, 0, 1, Parameter::Init::normal, o.init_std);
  const ValueId positions = b.field("positions", {"batch", "sequence"});
  x = b.add("sum", x, b.embedding("position", positions, "positions", std::string(kResidual), o.init_std));
  b.output("hidden", b.dropout("dropout", x, o.dropout));
  return b.build();
}

LayerSpec block(const VitOptions& o) {
  LayerBuilder b("block", o.dims());
  ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});

  ValueId h = b.layer_norm("ln_1", x, o.norm_eps);
  const ValueId q = b.linear("attn.q", h, {"heads", "queries_per_head", "head_dim"}, o.qkv_bias, o.init_std);
  const ValueId k = b.linear("attn.k", h, {"heads", "head_dim"}, o.qkv_bias, o.init_std);
  const ValueId v = b.linear("attn.v", h, {"heads", "head_dim"}, o.qkv_bias, o.init_std);
  h = b.linear("attn.out", b.attention("attn.core", q, k, v, {.dropout = o.attention_dropout}), {"hidden"}, true, o.init_std);
  x = b.add("attn.sum", x, b.dropout("attn.dropout", h, o.dropout));

  h = b.linear("mlp.up", b.layer_norm("ln_2", x, o.norm_eps), {"ffn"}, true, o.init_std);
  h = b.linear("mlp.down", b.gelu("mlp.act", h, /*tanh=*/o.activation == "gelu"), {"hidden"}, true, o.init_std);
  b.output("hidden", b.add("mlp.sum", x, b.dropout("mlp.dropout", h, o.dropout)));
  return b.build();
}

// The norm is of each token on its own, so only the class token's is made.
LayerSpec head(const VitOptions& o) {
  LayerBuilder b("head", o.dims());
  const ValueId x = b.pick("class_token", b.input("hidden", {"batch", "sequence", "hidden"}), 0);
  b.loss(b.cross_entropy("classifier", b.layer_norm("norm", x, o.norm_eps), b.field("labels", {"batch"}), "classes",
                         o.classes, o.init_std, {}, 1024, /*bias=*/true));
  return b.build();
}

class Vit final : public ModelFamily {
  ModelSpec describe(const Options& options) const override {
    const VitOptions o = VitOptions::read(options);
    ModelSpec model{.family = "vit",
                    .summary = fmt::format("{} patches of {}x{}, {} layers, hidden {}", o.patches(), o.patch_size,
                                           o.patch_size, o.layers, o.hidden),
                    .layers = {},
                    .sequence = o.sequence(),
                    .vocab = o.classes,
                    .properties = {}};
    model.layers.push_back(std::make_shared<const LayerSpec>(embedding(o)));
    model.layers.insert(model.layers.end(), static_cast<std::size_t>(o.layers),
                        std::make_shared<const LayerSpec>(block(o)));
    model.layers.push_back(std::make_shared<const LayerSpec>(head(o)));
    model.properties = {{"heads", fmt::format("{}", o.heads)},
                        {"head dim", fmt::format("{}", o.head_dim)},
                        {"ffn", fmt::format("{}", o.ffn)},
                        {"classes", fmt::format("{}, padded to {}", o.classes, o.padded_classes())},
                        {"sequence", fmt::format("{}, the class token and {} patches", o.sequence(), o.patches())},
                        {"parameters", fmt::format("{}", parameter_elements(model))}};
    return model;
  }

  Options shrink(const Options& options) const override { return VitOptions::read(options).shrunk().written(); }

  const void* extension(std::string_view id) const override {
    return id == kPublicWeights ? static_cast<const PublicWeights*>(&weights_) : nullptr;
  }

  VitWeights weights_;
};

}  // namespace
}  // namespace trellis::vit

TRELLIS_PLUGIN("vit", "1.0.0") { registrar.add<trellis::vit::Vit>(); }
