// dropout: x -> x   Backward makes the mask again from its coordinates, so it reads nothing.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Dropout final : public OpContract {
  std::string_view kind() const override { return "dropout"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {}); }
  // Philox4x32-10 is about 40 multiplications for four elements.
  Flops flops(const OpSizes& s, Pass) const override { return Flops(output_elements(s)) * 11; }
};

}  // namespace

ContractPtr dropout_contract() { return std::make_shared<Dropout>(); }

}  // namespace trellis::ops
