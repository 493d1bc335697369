// bias_at: b s h, h -> b s h   A bias at some positions only: a class token at position 0, and what patches get after it.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class BiasAt final : public OpContract {
  std::string_view kind() const override { return "bias_at"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  bool passes_gradient() const override { return true; }
  bool carries_partial() const override { return true; }  // its gradient is a sum, too
};

}  // namespace

ContractPtr bias_at_contract() { return std::make_shared<BiasAt>(); }

}  // namespace trellis::ops
