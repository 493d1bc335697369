// embedding: b s (integers), table rows h -> b s h   The table's rows are contracted: where they are split, each rank
// contributes the rows that it has and zero for the others, and the output is Partial.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Embedding final : public OpContract {
  std::string_view kind() const override { return "embedding"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {true}); }
};

}  // namespace

ContractPtr embedding_contract() { return std::make_shared<Embedding>(); }

}  // namespace trellis::ops
