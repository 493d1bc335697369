#include "run/verify/random_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <random>

#include "trellis/plan/error.h"
#include "trellis/plan/schedule.h"
#include "trellis/run/kernel.h"

namespace trellis {
namespace {

// Not std::uniform_int_distribution: its numbers differ between standard libraries, and a seed must mean one plan.
std::int64_t draw(std::mt19937_64& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(high - low + 1));
}

template <class T>
const T& pick(std::mt19937_64& random, const std::vector<T>& from) {
  return from[static_cast<std::size_t>(draw(random, 0, static_cast<std::int64_t>(from.size()) - 1))];
}

std::vector<StageRange> random_stages(std::mt19937_64& random, int stages, int layers) {
  std::vector<int> cuts(static_cast<std::size_t>(layers) - 1);
  for (int i = 0; i + 1 < layers; ++i) cuts[static_cast<std::size_t>(i)] = i + 1;
  for (std::size_t i = cuts.size(); i > 1; --i)
    std::swap(cuts[i - 1], cuts[static_cast<std::size_t>(draw(random, 0, static_cast<std::int64_t>(i) - 1))]);
  cuts.resize(static_cast<std::size_t>(stages) - 1);
  std::ranges::sort(cuts);
  std::vector<StageRange> ranges;
  int first = 0;
  for (int cut : cuts) ranges.push_back({first, cut - 1}), first = cut;
  ranges.push_back({first, layers - 1});
  return ranges;
}

std::vector<std::string> schedule_names(const Dimensions& dimensions) {
  std::vector<std::string> names;
  for (const auto& dimension : dimensions)
    if (const void* extension = dimension->extension(kPipelineSchedule))
      for (std::string& name : static_cast<const PipelineSchedule*>(extension)->names())
        names.push_back(std::move(name));
  return names;
}

Plan draw_plan(const ModelSpec& model, const Dimensions& dimensions, const RandomPlanOptions& options,
               std::mt19937_64& random) {
  const int layers = static_cast<int>(model.layers.size());
  std::vector<int> stage_counts;
  for (int p = 1; p <= std::min({options.max_stages, layers, options.devices}); ++p)
    if (options.devices % p == 0) stage_counts.push_back(p);
  Plan plan;
  plan.devices = options.devices;
  const int stages = pick(random, stage_counts);
  plan.atoms = pick(random, atom_orders(options.devices / stages));
  if (const std::vector<std::string> schedules = schedule_names(dimensions); !schedules.empty())
    plan.schedule = pick(random, schedules);
  plan.stages = random_stages(random, stages, layers);
  plan.micro_batches = static_cast<int>(draw(random, 1, options.max_micro_batches));
  plan.batch = draw(random, plan.micro_batches, options.max_batch);
  std::map<const LayerSpec*, std::vector<Candidate>> known;
  for (const auto& layer : model.layers) {
    auto [entry, fresh] = known.try_emplace(layer.get());
    if (fresh) entry->second = candidates(*layer, {.line = plan.line(), .devices_in_node = 0}, dimensions);
    plan.layers.push_back(pick(random, entry->second).strategy);
  }
  return plan;
}

}  // namespace

Plan random_plan(const ModelSpec& model, const Dimensions& dimensions, const OpLibrary& ops, Dtype dtype,
                 const RandomPlanOptions& options, std::uint64_t seed, std::uint64_t index) {
  std::mt19937_64 random(mix({seed, index}));
  std::string reason;
  for (int attempt = 0; attempt < 100; ++attempt) {
    Plan plan = draw_plan(model, dimensions, options, random);
    try {
      compile(plan, model, dimensions, ops, dtype);
      return plan;
    } catch (const Error& error) {
      if (error.code() != ExitCode::infeasible && error.code() != ExitCode::bad_input) throw;
      reason = error.message();
    }
  }
  throw Error(ExitCode::infeasible,
              fmt::format("100 random plans for {} devices in a row do not fit this model", options.devices),
              "the last one: " + reason);
}

std::string one_line(const Plan& plan) {
  const std::string atoms = plan.atoms.empty() ? "1" : fmt::format("{}", fmt::join(plan.atoms, "x"));
  std::string text = fmt::format("{} devices as {} stages of {}, {}, batch {} in {};", plan.devices,
                                 plan.stages.size(), atoms, plan.schedule, plan.batch, plan.micro_batches);
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const auto begins = [&](const StageRange& stage) { return stage.first == static_cast<int>(i); };
    const bool cut = i > 0 && std::ranges::any_of(plan.stages, begins);
    text += fmt::format("{} {}: {}", cut ? " |" : i > 0 ? ";" : "", i, to_string(plan.layers[i]));
  }
  return text;
}

}  // namespace trellis
