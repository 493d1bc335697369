#include "plan/run/compile_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "trellis/plan/error.h"
#include "trellis/plan/logging.h"

namespace trellis {
namespace {

// Where the file says this of a layer; the file as a whole where it does not.
Mark place_in(const std::filesystem::path& file, int layer, const std::string& dimension) {
  for (const Options& entry : Options::from_file(file).list("layers"))
    for (const std::string& text : entry.get("layers", std::vector<std::string>{}))
      if (const Range range = parse_range(text); range.first <= layer && layer <= range.second)
        return entry.mark(dimension);
  return {file.string(), 0, 0};
}

// The dimension that a reason begins with; empty where it begins with none.
std::string blamed(const std::string& reason, const Strategy& strategy) {
  for (const auto& [name, setting] : strategy)
    if (reason.starts_with(name + " ")) return name;
  return {};
}

// "layer 0 (embedding) can have here: tp off, tp 2": beside the layer's other settings.
std::string what_fits(const Plan& plan, const ModelSpec& model, std::size_t i, const Dimensions& dimensions,
                      const std::string& name) {
  const LayerSpec& layer = *model.layers[i];
  std::vector<std::string> labels;
  for (const auto& dimension : dimensions) {
    if (dimension->traits().name != name) continue;
    for (const Setting& setting : dimension->settings(layer, {.line = plan.line()})) {
      Strategy other = plan.layers[i];
      other[name] = setting;
      if (place(other, layer, plan.line(), dimensions).placement) labels.push_back(setting.label());
    }
  }
  if (labels.empty()) return {};
  return fmt::format("layer {} ({}) can have here: {}", i, layer.type, fmt::join(labels, ", "));
}

void check_layer(const Plan& plan, const ModelSpec& model, std::size_t i, const Dimensions& dimensions,
                 const std::filesystem::path& file) {
  const Placed placed = place(plan.layers[i], *model.layers[i], plan.line(), dimensions);
  if (placed.placement) return;
  const std::string name = blamed(placed.reason, plan.layers[i]);
  throw Error(ExitCode::bad_input, fmt::format("layer {}: {}", i, placed.reason),
              what_fits(plan, model, i, dimensions, name), place_in(file, static_cast<int>(i), name));
}

bool splits_something(const LayerSpec& layer, const Placement& placement, const AxisList& axes) {
  std::set<std::string> regions = {std::string(kResidual)};
  for (const Op& op : layer.ops) regions.insert(op.region);
  for (const Dim& dim : layer.dims)
    for (const std::string& region : regions)
      for (const Atom atom : placement.axes(dim.role, region))
        if (std::ranges::count(axes, atom) > 0) return true;
  return false;
}

void warn_of_idle(const CompiledPlan& compiled, const ModelSpec& model) {
  std::set<std::pair<const LayerSpec*, std::string>> told;
  for (std::size_t i = 0; i < compiled.placements.size(); ++i) {
    const Placement& placement = compiled.placements[i];
    const LayerSpec& layer = *model.layers[i];
    for (const auto& [name, setting] : compiled.plan.layers[i]) {
      const AxisList axes = placement.axis(name);
      if (axes.empty() || splits_something(layer, placement, axes) || !told.insert({&layer, name}).second) continue;
      log().warn("layer {} ({}): {} takes {} devices and splits nothing there: they all do the same work", i, layer.type,
                 setting.label(), compiled.plan.line().degree(axes));
    }
  }
}

}  // namespace

CompiledPlan compile_file(const Plan& plan, const ModelSpec& model, const Dimensions& dimensions, const OpLibrary& ops,
                          Dtype dtype, const std::filesystem::path& file) {
  if (!file.empty() && plan.layers.size() == model.layers.size())
    for (std::size_t i = 0; i < plan.layers.size(); ++i) check_layer(plan, model, i, dimensions, file);
  try {
    CompiledPlan compiled = compile(plan, model, dimensions, ops, dtype);
    if (!file.empty()) warn_of_idle(compiled, model);
    return compiled;
  } catch (const Error& error) {
    if (error.code() != ExitCode::infeasible) throw;  // for a search; here somebody asked for just this
    throw Error(ExitCode::bad_input, error.message(), error.hint(),
                file.empty() ? error.mark() : Mark{file.string(), 0, 0});
  }
}

}  // namespace trellis
