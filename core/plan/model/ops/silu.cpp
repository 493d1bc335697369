// silu: x -> x * sigmoid(x)
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Silu final : public OpContract {
  std::string_view kind() const override { return "silu"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {true}); }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(output_elements(s)) * (pass == Pass::forward ? 5 : 7);
  }
};

}  // namespace

ContractPtr silu_contract() { return std::make_shared<Silu>(); }

}  // namespace trellis::ops
