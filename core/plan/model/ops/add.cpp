// add: x, x -> x   The residual sum. Both gradients are the output's.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Add final : public OpContract {
  std::string_view kind() const override { return "add"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  bool passes_gradient() const override { return true; }
};

}  // namespace

ContractPtr add_contract() { return std::make_shared<Add>(); }

}  // namespace trellis::ops
