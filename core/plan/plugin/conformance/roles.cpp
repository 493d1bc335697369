#include "plan/plugin/conformance/roles.h"

#include <fmt/format.h>

#include <vector>

#include "plan/plugin/conformance/samples.h"
#include "trellis/plan/error.h"
#include "trellis/plan/model_family.h"

namespace trellis::conformance {

std::optional<std::set<std::string>> known_roles(const Catalog& catalog) {
  std::set<std::string> roles;
  const auto add = [&](const LayerSpec& layer) {
    for (const Dim& dim : layer.dims) roles.insert(dim.role);
  };
  for (const auto& layer : sample_layers()) add(*layer);
  for (const std::string& family : catalog.names(PluginType::models)) {
    try {
      for (const auto& layer : catalog.family(family)->describe(Options::empty(family)).layers) add(*layer);
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  return roles;
}

std::vector<std::string> unsplit_roles(const ModelSpec& model, const Dimensions& dimensions) {
  static const std::set<std::string_view> named = {kBatch, kSequence, kHidden, kHeads, kFfn, kVocab, kPositions, kOther};
  std::set<std::string> own, split;
  for (const auto& layer : model.layers)
    for (const Dim& dim : layer->dims)
      if (!named.contains(dim.role)) own.insert(dim.role);
  if (own.empty()) return {};
  for (const auto& dimension : dimensions)
    for (const auto& layer : sample_layers())
      for (const DeviceLine& line : sample_lines())
        for (const Setting& setting : dimension->settings(*layer, {line, 0})) {
          Placement placement(line);
          if (dimension->apply(setting, *layer, placement)) split.merge(placement.split_roles());
        }
  std::vector<std::string> notes;
  const std::vector<std::string> known(split.begin(), split.end());
  for (const std::string& role : own)
    if (!split.contains(role))
      notes.push_back(fmt::format("no dimension splits role '{}'; {}", role, suggestion_hint(role, known, "split")));
  return notes;
}

std::string unknown_role(const Parallelism& dimension, const std::set<std::string>& known) {
  for (const auto& layer : sample_layers())
    for (const DeviceLine& line : sample_lines())
      for (const Setting& setting : dimension.settings(*layer, {line, 0})) {
        Placement placement(line);
        if (!dimension.apply(setting, *layer, placement)) continue;
        for (const std::string& role : placement.split_roles()) {
          if (known.contains(role)) continue;
          const std::vector<std::string> names(known.begin(), known.end());
          return fmt::format("'{}' splits the role '{}', which no layer has; {}", setting.label(), role,
                             suggestion_hint(role, names, "known"));
        }
      }
  return {};
}

}  // namespace trellis::conformance
