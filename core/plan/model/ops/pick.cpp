// pick: b s X.. -> b X..   The token at one position, a contraction over the sequence: ranks that do not hold it give zero.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Pick final : public OpContract {
  std::string_view kind() const override { return "pick"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  Flops flops(const OpSizes& s, Pass pass) const override {
    return Flops(pass == Pass::forward ? output_elements(s) : input_elements(s, 0));
  }
};

}  // namespace

ContractPtr pick_contract() { return std::make_shared<Pick>(); }

}  // namespace trellis::ops
