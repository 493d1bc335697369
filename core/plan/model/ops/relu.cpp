// relu: x -> max(x, 0)   Backward looks at the output.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Relu final : public OpContract {
  std::string_view kind() const override { return "relu"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {}, /*output=*/pass != Pass::forward);
  }
};

}  // namespace

ContractPtr relu_contract() { return std::make_shared<Relu>(); }

}  // namespace trellis::ops
