// bias: b s O.. , O.. -> b s O..   After the sum: a Partial sum would count it once a rank.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Bias final : public OpContract {
  std::string_view kind() const override { return "bias"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  bool passes_gradient() const override { return true; }
  bool carries_partial() const override { return true; }  // its gradient is a sum, too
};

}  // namespace

ContractPtr bias_contract() { return std::make_shared<Bias>(); }

}  // namespace trellis::ops
