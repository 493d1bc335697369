// A family whose blocks use an op that Trellis does not have: y = softplus(x) * scale, one scale a feature.
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

// scaled_softplus: b s f, f -> b s f
class ScaledSoftplus final : public OpContract {
  std::string_view kind() const override { return "scaled_softplus"; }
  Needs needs(const LayerSpec&, const Op&, Pass pass) const override { return {.inputs = {pass != Pass::forward}}; }
  Flops flops(const OpSizes& sizes, Pass) const override { return Flops(6 * elements(sizes)); }
  // By autograd: forward again, its two results, and two gradients.
  Bytes scratch(const OpSizes& sizes, Pass pass) const override {
    return size_of(sizes.dtype) * (pass == Pass::forward ? 1 : 4) * elements(sizes);
  }
  static std::int64_t elements(const OpSizes& sizes) { return sizes.elements(sizes.op->input_dims.at(0)); }
};

// The gelu of `layer` becomes a scaled_softplus with a parameter.
LayerSpec with_softplus(LayerSpec layer) {
  for (Op& op : layer.ops) {
    if (op.kind != "gelu") continue;
    op.kind = "scaled_softplus";
    op.attributes.clear();
    op.parameters = {static_cast<ParameterId>(layer.parameters.size())};
    layer.parameters.push_back({.name = op.name + ".scale", .dims = {op.input_dims.at(0).back()},
                                .init = Parameter::Init::ones, .weight_decay = false});
  }
  return layer;
}

class Soft final : public ModelFamily {
  ModelSpec describe(const Options& options) const override {
    const auto layers = options.get("layers", std::int64_t{2});
    const std::vector<Dim> dims = {{"batch", std::string(kBatch), 0}, {"sequence", std::string(kSequence), 8},
                                   {"hidden", std::string(kHidden), 16}, {"ffn", std::string(kFfn), 32},
                                   {"vocab", std::string(kVocab), 24}};
    LayerBuilder first("embedding", dims);
    const ValueId ids = first.field("ids", {"batch", "sequence"});
    first.output("hidden", first.embedding("token", ids, "vocab", std::string(kLinear), 0.1));
    LayerBuilder block("block", dims);
    const ValueId x = block.input("hidden", {"batch", "sequence", "hidden"});
    const ValueId h = block.gelu("act", block.linear("up", block.rms_norm("norm", x, 1e-5), {"ffn"}, false, 0.1), true);
    block.output("hidden", block.add("sum", x, block.linear("down", h, {"hidden"}, false, 0.1)));
    LayerBuilder last("head", dims);
    const ValueId y = last.input("hidden", {"batch", "sequence", "hidden"});
    const ValueId labels = last.field("labels", {"batch", "sequence"});
    last.loss(last.cross_entropy("head", last.rms_norm("norm", y, 1e-5), labels, "vocab", 24, 0.1));

    ModelSpec model{.family = "soft", .summary = "soft", .layers = {}, .sequence = 8, .vocab = 24, .properties = {}};
    model.layers.push_back(std::make_shared<const LayerSpec>(first.build()));
    model.layers.insert(model.layers.end(), static_cast<std::size_t>(layers),
                        std::make_shared<const LayerSpec>(with_softplus(block.build())));
    model.layers.push_back(std::make_shared<const LayerSpec>(last.build()));
    return model;
  }
  Options shrink(const Options& options) const override { return options; }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("soft", "1.0.0") {
  registrar.add<trellis::Soft>();
  registrar.add<trellis::ScaledSoftplus>();
}
