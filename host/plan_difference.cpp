#include "host/plan_difference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

namespace trellis::host {
namespace {

std::string stages_of(const Plan& plan) {
  std::vector<std::string> ranges;
  for (const StageRange& s : plan.stages) ranges.push_back(format(Range{s.first, s.last}));
  return fmt::format("{}", fmt::join(ranges, ", "));
}

std::string label(const Strategy& strategy, const std::string& dimension) {
  const auto found = strategy.find(dimension);
  return found == strategy.end() || !found->second.on() ? dimension + " off" : found->second.label();
}

std::map<std::string, FromTo> difference(const Strategy& from, const Strategy& to) {
  std::set<std::string> names;
  for (const Strategy* strategy : {&from, &to})
    for (const auto& [name, setting] : *strategy) names.insert(name);
  std::map<std::string, FromTo> result;
  for (const std::string& name : names)
    if (FromTo labels{label(from, name), label(to, name)}; labels.first != labels.second)
      result.emplace(name, std::move(labels));
  return result;
}

}  // namespace

PlanDifference difference(const Plan& from, const Plan& to) {
  PlanDifference result;
  const auto compare = [&](const char* what, std::string a, std::string b) {
    if (a != b) result.global.emplace_back(what, FromTo{std::move(a), std::move(b)});
  };
  const auto number = [](auto n) { return fmt::format("{}", n); };
  const auto model = [](const Plan& plan) {
    const auto known = plan.made_by.find("model");
    return known == plan.made_by.end() ? std::string() : known->second;
  };
  result.other_model = !model(from).empty() && !model(to).empty() && model(from) != model(to);
  if (result.other_model) compare("model", model(from), model(to));
  compare("layers of the model", number(from.layers.size()), number(to.layers.size()));
  compare("devices", number(from.devices), number(to.devices));
  compare("batch", number(from.batch), number(to.batch));
  compare("micro-batches", number(from.micro_batches), number(to.micro_batches));
  compare("stages", number(from.stages.size()), number(to.stages.size()));
  compare("layers of the stages", stages_of(from), stages_of(to));
  compare("atoms of a stage", fmt::format("[{}]", fmt::join(from.atoms, ", ")),
          fmt::format("[{}]", fmt::join(to.atoms, ", ")));
  compare("schedule", from.schedule, to.schedule);

  for (std::size_t i = 0; i < std::min(from.layers.size(), to.layers.size()); ++i) {
    auto dimensions = difference(from.layers[i], to.layers[i]);
    if (dimensions.empty()) continue;
    const int layer = static_cast<int>(i);
    if (!result.layers.empty() && result.layers.back().layers.last == layer - 1 &&
        result.layers.back().dimensions == dimensions)
      result.layers.back().layers.last = layer;
    else
      result.layers.push_back(
          {{layer, layer}, std::move(dimensions), {to_string(from.layers[i]), to_string(to.layers[i])}});
  }
  return result;
}

}  // namespace trellis::host
