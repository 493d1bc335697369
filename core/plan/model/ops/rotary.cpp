// rotary: b s X.. d, positions b s -> b s X.. d   Rotates pairs (i, i + d/2) by position * theta^(-2i/d), or more
// slowly: RotaryScaling.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Rotary final : public OpContract {
  std::string_view kind() const override { return "rotary"; }
  DimUse use(const LayerSpec& layer, const Op& op, DimId d) const override {
    return d == op.input_dims.at(0).back() ? DimUse::whole : OpContract::use(layer, op, d);
  }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {false, true}); }
  FieldRange field(const LayerSpec&, const Op&, std::size_t) const override { return {.kind = FieldKind::positions}; }
  bool carries_partial() const override { return true; }  // a rotation of a sum is the sum of the rotations
  Flops flops(const OpSizes& s, Pass) const override { return Flops(output_elements(s)) * 3; }
};

}  // namespace

ContractPtr rotary_contract() { return std::make_shared<Rotary>(); }

}  // namespace trellis::ops
