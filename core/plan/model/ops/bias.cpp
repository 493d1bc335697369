// bias: b s O.. , O.. -> b s O..   After the sum: a Partial sum would count it once a rank.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Bias final : public OpContract {
  std::string_view kind() const override { return "bias"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  bool passes_gradient() const override { return true; }

  // The sum over samples and positions, before it is added to the gradient.
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    return pass == Pass::forward ? Bytes(0) : size_of(s.dtype) * parameter_elements(s, 0);
  }
};

}  // namespace

ContractPtr bias_contract() { return std::make_shared<Bias>(); }

}  // namespace trellis::ops
