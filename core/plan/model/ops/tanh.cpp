// tanh: x -> tanh(x)   Backward is made of the output.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Tanh final : public OpContract {
  std::string_view kind() const override { return "tanh"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {}, /*output=*/pass != Pass::forward);
  }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(output_elements(s)) * (pass == Pass::forward ? 8 : 3);
  }
};

}  // namespace

ContractPtr tanh_contract() { return std::make_shared<Tanh>(); }

}  // namespace trellis::ops
