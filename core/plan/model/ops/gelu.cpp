// gelu: x -> x   Exact (erf), or the tanh form where attribute `tanh` is 1.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Gelu final : public OpContract {
  std::string_view kind() const override { return "gelu"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {true}); }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(output_elements(s)) * (pass == Pass::forward ? 8 : 12);
  }
};

}  // namespace

ContractPtr gelu_contract() { return std::make_shared<Gelu>(); }

}  // namespace trellis::ops
