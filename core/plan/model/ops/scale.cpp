// scale: x -> factor * x
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Scale final : public OpContract {
  std::string_view kind() const override { return "scale"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  bool carries_partial() const override { return true; }
};

}  // namespace

ContractPtr scale_contract() { return std::make_shared<Scale>(); }

}  // namespace trellis::ops
