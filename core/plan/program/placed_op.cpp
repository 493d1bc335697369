// How a placement cuts the dims of one op, and the layouts that follow (derivation rules 1 to 3).
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "plan/program/derivation.h"
#include "trellis/plan/error.h"

namespace trellis {

std::int64_t padded_size(const Dim& dim, const DeriveContext& context) {
  if (dim.role == kBatch) return context.micro_batch;
  if (dim.role != kSequence) return dim.size;
  const std::int64_t m = context.sequence_multiple;
  return (dim.size + m - 1) / m * m;
}

namespace derivation {
namespace {

bool together(const LayerSpec& spec, DimId a, DimId b) {
  auto holds = [&](const std::vector<DimId>& dims) {
    return std::ranges::find(dims, a) != dims.end() && std::ranges::find(dims, b) != dims.end();
  };
  return std::ranges::any_of(spec.values, [&](const Value& v) { return holds(v.dims); }) ||
         std::ranges::any_of(spec.parameters, [&](const Parameter& p) { return holds(p.dims); });
}

std::string names(const LayerSpec& spec, const std::vector<DimId>& dims) {
  std::string text;
  for (const DimId id : dims) {
    const Dim& dim = spec.dims[static_cast<std::size_t>(id)];
    text += fmt::format("{}{} {}", text.empty() ? "" : " x ", dim.size, dim.name);
  }
  return text;
}

// Axes of one dim in a region. Of the dims of one role in one tensor the first takes atoms as far as they divide, the
// next the rest; dims of one role in different tensors take the whole axis each.
AxisList axes_of(const LayerSpec& spec, DimId dim, std::string_view region, const Placement& placement) {
  const Dim& wanted = spec.dims[static_cast<std::size_t>(dim)];
  AxisList rest = placement.axes(wanted.role, region);
  if (rest.empty() || wanted.role == kBatch || wanted.role == kSequence) return rest;
  std::vector<DimId> dividing;
  for (DimId d = 0; d < static_cast<DimId>(spec.dims.size()); ++d) {
    const Dim& other = spec.dims[static_cast<std::size_t>(d)];
    if (other.role != wanted.role || (d != dim && !together(spec, d, dim))) continue;
    dividing.push_back(d);
    std::size_t taken = 0;
    int degree = 1;
    while (taken < rest.size()) {
      const int next = degree * placement.line().degree({rest[taken]});
      if (other.size % next != 0) break;
      degree = next, ++taken;
    }
    const AxisList mine(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    if (d == dim) {
      const bool last = std::none_of(spec.dims.begin() + d + 1, spec.dims.end(), [&](const Dim& later) {
        return later.role == wanted.role && together(spec, static_cast<DimId>(&later - spec.dims.data()), dim);
      });
      if (last && !rest.empty())
        fail(ExitCode::infeasible, "{} do not divide by {}", names(spec, dividing),
             placement.line().degree(placement.axes(wanted.role, region)));
      return mine;
    }
  }
  return rest;
}

void check_once(const LayerSpec& spec, const Op& op, const Layout& layout, std::string_view tensor) {
  AxisList all = layout.partial;
  for (const AxisList& axes : layout.split) all.insert(all.end(), axes.begin(), axes.end());
  std::ranges::sort(all);
  if (std::ranges::adjacent_find(all) != all.end())
    fail(ExitCode::infeasible, "{} {}: {} would be split twice over the same devices ({})", spec.type, op.name, tensor,
         to_string(layout));
}

void sort_once_each(std::vector<int>& numbers) {
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

// Ascending.
std::vector<DimId> all_dims(const LayerSpec& spec, const Op& op) {
  std::vector<DimId> dims;
  const auto add = [&](const std::vector<DimId>& list) { dims.insert(dims.end(), list.begin(), list.end()); };
  for (const auto& list : op.input_dims) add(list);
  for (ParameterId p : op.parameters) add(spec.parameters[static_cast<std::size_t>(p)].dims);
  add(spec.values[static_cast<std::size_t>(op.output)].dims);
  sort_once_each(dims);
  return dims;
}

}  // namespace

Layout layout_in(const LayerSpec& spec, const std::vector<DimId>& dims, std::string_view region, const Placement& placement) {
  Layout layout;
  for (DimId d : dims) layout.split.push_back(axes_of(spec, d, region, placement));
  return layout;
}

AxisList missing_axes(const LayerSpec& spec, const Op& op, const PlacedOp& placed, const std::vector<DimId>& dims,
                      bool internal) {
  AxisList axes;
  for (DimId d : placed.dims) {
    const AxisList& mine = placed.sizes.axes[static_cast<std::size_t>(d)];
    if (mine.empty() || std::ranges::find(dims, d) != dims.end()) continue;
    if (!internal && placed.contract->use(spec, op, d) == DimUse::internal) continue;
    axes.insert(axes.end(), mine.begin(), mine.end());
  }
  sort_once_each(axes);
  return axes;
}

PlacedOp place_op(const LayerSpec& spec, const Op& op, const Placement& placement, const DeriveContext& context) {
  PlacedOp placed;
  placed.contract = &context.ops->find(placement.contract_for(op.kind));
  placed.dims = all_dims(spec, op);
  placed.sizes = op_sizes(spec, op, placement, context);
  auto layout_of = [&](const std::vector<DimId>& dims) {
    Layout layout;
    for (DimId d : dims) layout.split.push_back(placed.sizes.axes[static_cast<std::size_t>(d)]);
    return layout;
  };
  for (DimId d : placed.dims) {
    const AxisList& axes = placed.sizes.axes[static_cast<std::size_t>(d)];
    if (!axes.empty() && placed.contract->use(spec, op, d) == DimUse::whole)
      fail(ExitCode::infeasible, "{} {}: {} may not be split ({} ways asked for)", spec.type, op.name,
           spec.dims[static_cast<std::size_t>(d)].name, placement.line().degree(axes));
    placed.busy.insert(placed.busy.end(), axes.begin(), axes.end());
  }
  for (const auto& dims : op.input_dims) check_once(spec, op, placed.inputs.emplace_back(layout_of(dims)), "an input");
  for (ParameterId p : op.parameters)
    check_once(spec, op, placed.parameters.emplace_back(layout_of(spec.parameters[static_cast<std::size_t>(p)].dims)),
               "a parameter");
  const auto& out = spec.values[static_cast<std::size_t>(op.output)].dims;
  placed.output = layout_of(out);
  placed.output.partial = missing_axes(spec, op, placed, out, false);
  check_once(spec, op, placed.output, "the output");
  for (const Extra& extra : placed.contract->extras(spec, op)) {
    Layout& layout = placed.extras.emplace_back(layout_of(extra.dims));
    // An op that makes gradients in forward leaves them as backward would: Partial over all that the input lacks.
    if (placed.contract->once()) layout.partial = missing_axes(spec, op, placed, extra.dims, true);
  }
  return placed;
}

}  // namespace derivation

OpSizes op_sizes(const LayerSpec& spec, const Op& op, const Placement& placement, const DeriveContext& context) {
  OpSizes sizes{.layer = &spec, .op = &op, .size = {}, .axes = {}, .degree = {}, .dtype = context.dtype};
  sizes.products_in_place = context.ops->products_in_place();
  sizes.threads = context.ops->threads();
  sizes.size.reserve(spec.dims.size()), sizes.degree.reserve(spec.dims.size()), sizes.axes.reserve(spec.dims.size());
  const std::vector<DimId> used = derivation::all_dims(spec, op);
  for (DimId d = 0; d < static_cast<DimId>(spec.dims.size()); ++d) {
    const Dim& dim = spec.dims[static_cast<std::size_t>(d)];
    const std::int64_t global = padded_size(dim, context);
    AxisList axes = std::ranges::binary_search(used, d) ? derivation::axes_of(spec, d, op.region, placement) : AxisList{};
    const int degree = placement.line().degree(axes);
    if (global % degree != 0)
      fail(ExitCode::infeasible, "{} {}: {} {} do not divide by {}", spec.type, op.name, global, dim.name, degree);
    sizes.size.push_back(global / degree);
    sizes.degree.push_back(degree);
    sizes.axes.push_back(std::move(axes));
  }
  return sizes;
}

}  // namespace trellis
