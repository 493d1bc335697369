// embedding: b s (integers), table rows h -> b s h   The table's rows are contracted: where they are split, each rank
// contributes the rows that it has and zero for the others, and the output is Partial.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Embedding final : public OpContract {
  std::string_view kind() const override { return "embedding"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override { return reads(op, pass, {true}); }
  FieldRange field(const LayerSpec& layer, const Op& op, std::size_t) const override {
    const Parameter& table = layer.parameters.at(static_cast<std::size_t>(op.parameters.at(0)));
    const Dim& rows = layer.dims.at(static_cast<std::size_t>(table.dims.at(0)));
    return {.kind = rows.role == kPositions ? FieldKind::positions : FieldKind::ids, .values = rows.size};
  }
};

}  // namespace

ContractPtr embedding_contract() { return std::make_shared<Embedding>(); }

}  // namespace trellis::ops
