// multiply: x, x -> x   Elementwise; the gate of a gated MLP.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Multiply final : public OpContract {
  std::string_view kind() const override { return "multiply"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {true, true}); }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(output_elements(s)) * (pass == Pass::forward ? 1 : 2);
  }
};

}  // namespace

ContractPtr multiply_contract() { return std::make_shared<Multiply>(); }

}  // namespace trellis::ops
