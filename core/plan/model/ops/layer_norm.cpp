// layer_norm: b s h, h [, h] -> b s h   Its mean and reciprocal deviation are kept for backward.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class LayerNorm final : public OpContract {
  std::string_view kind() const override { return "layer_norm"; }
  DimUse use(const LayerSpec& layer, const Op& op, DimId d) const override {
    return d == op.input_dims.at(0).back() ? DimUse::whole : OpContract::use(layer, op, d);
  }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {true}, false, /*extras=*/true);
  }
  std::vector<Extra> extras(const LayerSpec&, const Op& op) const override {
    std::vector<DimId> rows(op.input_dims.at(0).begin(), op.input_dims.at(0).end() - 1);
    return {{.name = "mean", .dims = rows}, {.name = "rstd", .dims = rows}};
  }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(output_elements(s)) * (pass == Pass::forward ? 8 : 14);
  }
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    return pass == Pass::forward ? Bytes(0) : norm_partial_sums(s);
  }
};

}  // namespace

ContractPtr layer_norm_contract() { return std::make_shared<LayerNorm>(); }

}  // namespace trellis::ops
