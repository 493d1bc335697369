#include "trellis/plan/op.h"

#include <algorithm>

#include "plan/model/ops/contracts.h"
#include "trellis/plan/error.h"

namespace trellis {

OpContract::~OpContract() = default;

std::string_view name_of(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward";
    case Pass::input_gradient:
      return "input_gradient";
    case Pass::weight_gradient:
      return "weight_gradient";
    case Pass::backward:
      return "backward";
  }
  return "?";
}

std::int64_t OpSizes::elements(const std::vector<DimId>& dims) const {
  std::int64_t count = 1;
  for (const DimId d : dims) count *= size.at(static_cast<std::size_t>(d));
  return count;
}

DimUse OpContract::use(const LayerSpec& layer, const Op& op, DimId dim) const {
  const auto& kept = layer.values.at(static_cast<std::size_t>(op.output)).dims;
  return std::find(kept.begin(), kept.end(), dim) == kept.end() ? DimUse::contracted : DimUse::pointwise;
}

std::vector<Extra> OpContract::extras(const LayerSpec&, const Op&) const { return {}; }
bool OpContract::splits_backward() const { return false; }
bool OpContract::passes_gradient() const { return false; }
bool OpContract::carries_partial() const { return false; }
bool OpContract::once() const { return false; }
Flops OpContract::flops(const OpSizes& sizes, Pass) const { return Flops(ops::output_elements(sizes)); }
Bytes OpContract::scratch(const OpSizes&, Pass) const { return Bytes(0); }
std::vector<InnerMove> OpContract::inner_moves(const OpSizes&, Pass) const { return {}; }
FieldRange OpContract::field(const LayerSpec& layer, const Op& op, std::size_t) const {
  const std::int64_t rows =
      op.parameters.empty() ? 1 : layer.shape(layer.parameters.at(static_cast<std::size_t>(op.parameters[0])).dims, 1).front();
  return {.kind = FieldKind::ids, .values = rows};
}

OpLibrary::OpLibrary() {
  for (auto contract : ops::core_contracts()) add(std::move(contract));
}

void OpLibrary::add(std::shared_ptr<const OpContract> contract) {
  if (!contract) fail("an op contract is missing: a null pointer was added");
  const std::string kind(contract->kind());
  if (!contracts_.emplace(kind, std::move(contract)).second)
    throw Error(ExitCode::plugin, fmt::format("two op contracts are named '{}'", kind),
                "give the new op a kind of its own; a Placement can substitute it for the other");
}

const OpContract& OpLibrary::find(std::string_view kind) const {
  const auto found = contracts_.find(kind);
  if (found == contracts_.end())
    throw Error(ExitCode::bad_input, fmt::format("no op contract of kind '{}'", kind),
                suggestion_hint(kind, kinds(), "kinds"));
  return *found->second;
}

std::vector<std::string> OpLibrary::kinds() const {
  std::vector<std::string> names;
  for (const auto& [kind, contract] : contracts_) names.push_back(kind);
  return names;
}

}  // namespace trellis
