#include "plan/model/layer_checks.h"

#include <set>

#include "trellis/plan/error.h"

namespace trellis::checks {
namespace {

void check_names(const LayerSpec& layer) {
  std::set<std::string_view> ops, parameters, edges;
  for (const Op& op : layer.ops)
    if (!ops.insert(op.name).second) fail("layer '{}' has two ops named '{}'", layer.type, op.name);
  for (const Parameter& p : layer.parameters)
    if (!parameters.insert(p.name).second) fail("layer '{}' has two parameters named '{}'", layer.type, p.name);
  for (const auto* list : {&layer.inputs, &layer.outputs, &layer.fields}) {
    edges.clear();
    for (const ValueId x : *list) {
      const std::string& name = layer.values[static_cast<std::size_t>(x)].name;
      if (!edges.insert(name).second)
        fail("layer '{}' has two {} named '{}'", layer.type,
             list == &layer.inputs    ? "inputs"
             : list == &layer.outputs ? "outputs"
                                      : "fields",
             name);
    }
  }
}

// A value that nobody reads has no gradient, and an op that makes it was surely meant for something.
void check_uses(const LayerSpec& layer) {
  std::vector<bool> used(layer.values.size());
  for (const Op& op : layer.ops)
    for (const ValueId x : op.inputs) used[static_cast<std::size_t>(x)] = true;
  for (const ValueId x : layer.outputs) used[static_cast<std::size_t>(x)] = true;
  for (const ValueId x : layer.losses) used[static_cast<std::size_t>(x)] = true;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      throw Error(ExitCode::bad_input, fmt::format("layer '{}': nothing uses '{}'", layer.type, layer.values[i].name),
                  "give it to an op, or to output() where it leaves the layer");
}

}  // namespace

void check_dims(const LayerSpec& layer) {
  std::set<std::string_view> names;
  for (const Dim& d : layer.dims) {
    if (d.name.empty() || d.role.empty())
      fail("layer '{}': a dim has no {}", layer.type, d.name.empty() ? "name" : "role");
    if (!names.insert(d.name).second) fail("layer '{}' has two dims named '{}'", layer.type, d.name);
    if (d.role == kBatch ? d.size != 0 : d.size < 1)
      fail("layer '{}': dim '{}' has size {}; expected {}", layer.type, d.name, d.size,
           d.role == kBatch ? "0, for batch comes with the micro-batch" : "1 or more");
  }
}

DimId renamed(const LayerSpec& layer, std::string_view op, DimId dim, const std::string& name) {
  const Dim& old = layer.dims[static_cast<std::size_t>(dim)];
  for (std::size_t i = 0; i < layer.dims.size(); ++i) {
    const Dim& other = layer.dims[i];
    if (other.name != name) continue;
    if (other.role != old.role || other.size != old.size)
      fail("layer '{}', op '{}': dim '{}' stands for '{}' but has role {} and size {}; expected {} and {}", layer.type,
           op, name, old.name, other.role, other.size, old.role, old.size);
    return static_cast<DimId>(i);
  }
  throw Error(ExitCode::bad_input,
              fmt::format("layer '{}', op '{}': dim '{}' is both contracted and kept", layer.type, op, old.name),
              fmt::format("declare a dim '{}' of role {} and size {}; the op calls the contracted one so", name,
                          old.role, old.size));
}

void check_layer(const LayerSpec& layer) {
  if (layer.outputs.empty() && layer.losses.empty())
    throw Error(ExitCode::bad_input, fmt::format("layer '{}' yields nothing", layer.type),
                "call output() or loss() before build()");
  check_names(layer);
  check_uses(layer);
}

void drop_unused_dims(LayerSpec& layer) {
  std::vector<bool> used(layer.dims.size());
  const auto for_all = [&](auto&& visit) {
    for (Value& v : layer.values) visit(v.dims);
    for (Parameter& p : layer.parameters) visit(p.dims);
    for (Op& op : layer.ops)
      for (auto& dims : op.input_dims) visit(dims);
  };
  for_all([&](std::vector<DimId>& dims) {
    for (const DimId d : dims) used[static_cast<std::size_t>(d)] = true;
  });
  std::vector<Dim> kept;
  std::vector<DimId> to(layer.dims.size(), -1);
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    to[i] = static_cast<DimId>(kept.size());
    kept.push_back(layer.dims[i]);
  }
  for_all([&](std::vector<DimId>& dims) {
    for (DimId& d : dims) d = to[static_cast<std::size_t>(d)];
  });
  layer.dims = std::move(kept);
}

}  // namespace trellis::checks
