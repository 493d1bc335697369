// The space that a search goes over, and the checks of what it returns.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "plan/base/words.h"
#include "plan/cost/pinned_space.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

std::vector<std::string> all_schedules(const Dimensions& dimensions) {
  std::vector<std::string> names;
  for (const auto& dimension : dimensions)
    if (const void* extension = dimension->extension(kPipelineSchedule))
      for (std::string& name : static_cast<const PipelineSchedule*>(extension)->names())
        names.push_back(std::move(name));
  return names;
}

std::vector<int> stage_counts(const SpaceOptions& options, int layers) {
  std::vector<int> counts = options.stages;
  for (int p : counts)
    if (p < 1 || options.devices % p != 0 || p > layers)
      fail(ExitCode::bad_input, "{} pipeline stages: expected a divisor of {} devices, at most {} layers", p,
           options.devices, layers);
  if (counts.empty())
    for (int p = 1; p <= std::min(options.devices, layers); ++p)
      if (options.devices % p == 0) counts.push_back(p);
  return counts;
}

std::vector<std::int64_t> batches_of(const SpaceOptions& options) {
  std::vector<std::int64_t> batches = options.batches;
  if (batches.empty()) batches.push_back(options.batch);
  std::ranges::sort(batches);
  batches.erase(std::unique(batches.begin(), batches.end()), batches.end());
  if (batches.front() < 1) fail(ExitCode::bad_input, "a batch of {}: expected at least 1 sample", batches.front());
  return batches;
}

std::vector<int> divisors(std::int64_t batch) {
  std::vector<std::int64_t> small, large;
  for (std::int64_t d = 1; d <= batch / d; ++d) {
    if (batch % d != 0) continue;
    small.push_back(d);
    if (d != batch / d) large.push_back(batch / d);
  }
  small.insert(small.end(), large.rbegin(), large.rend());
  std::vector<int> result;
  for (const std::int64_t d : small)
    if (d <= std::numeric_limits<int>::max()) result.push_back(static_cast<int>(d));
  return result;
}

// Those listed that the batch has samples for.
std::vector<int> micro_batch_counts(const SpaceOptions& options, std::int64_t batch) {
  if (options.micro_batches.empty()) return divisors(batch);
  std::vector<int> counts;
  for (const int m : options.micro_batches)
    if (m >= 1 && m <= batch) counts.push_back(m);
  return counts;
}

void check_micro_batches(const SpaceOptions& options, std::int64_t largest_batch) {
  for (const int m : options.micro_batches)
    if (m < 1 || m > largest_batch)
      fail(ExitCode::bad_input, "{} micro-batches cannot be made of a batch of {}", m, largest_batch);
}

// All choices but for what pins leave out.
std::vector<GlobalChoice> all_choices(const Dimensions& dimensions, const SpaceOptions& options, int layers) {
  const std::vector<std::string> schedules = options.schedules.empty() ? all_schedules(dimensions) : options.schedules;
  if (schedules.empty()) fail(ExitCode::plugin, "no dimension brings a pipeline schedule; expected the plugin 'pp'");
  for (const std::string& name : schedules) find_schedule(dimensions, name);
  const std::vector<std::int64_t> batches = batches_of(options);
  check_micro_batches(options, batches.back());
  std::vector<GlobalChoice> choices;
  for (const std::int64_t batch : batches)
    for (const int p : stage_counts(options, layers))
      for (const std::vector<int>& atoms : options.atoms.empty() ? atom_orders(options.devices / p) : options.atoms) {
        if (DeviceLine{atoms}.size() * p != options.devices) continue;
        for (const int m : micro_batch_counts(options, batch))
          for (const std::string& schedule : schedules) {
            // One stage has one order that is best in memory; schedules differ only where there is a pipeline.
            if (p == 1 && options.schedules.empty() &&
                schedule != (std::ranges::count(schedules, "1f1b") ? "1f1b" : schedules.front()))
              continue;
            choices.push_back({.batch = batch, .micro_batches = m, .atoms = atoms, .schedule = schedule, .stages = p});
          }
      }
  return choices;
}

// Devices that all have the same need no list.
void set_budgets(Problem& problem, const std::vector<Bytes>& budgets) {
  if (budgets.size() != static_cast<std::size_t>(problem.devices))
    fail(ExitCode::bad_input, "there are budgets of {} devices, and {} devices", budgets.size(), problem.devices);
  const auto [least, most] = std::ranges::minmax_element(budgets);
  problem.budget = *least;
  if (*least < *most) problem.budgets = budgets;
}

}  // namespace

Problem make_problem(const ModelSpec& model, const Dimensions& dimensions, const SpaceOptions& options) {
  Problem problem;
  problem.model = &model;
  problem.devices = options.devices;
  problem.budget = options.budget;
  if (!options.budgets.empty()) set_budgets(problem, options.budgets);
  problem.start = options.start;
  problem.dimensions = &dimensions;
  problem.choices = all_choices(dimensions, options, static_cast<int>(model.layers.size()));
  const auto space = std::make_shared<PinnedSpace>(model, dimensions, options.devices_in_node, options.pins);
  if (!options.pins.empty()) {
    std::vector<GlobalChoice> admitted;
    std::ranges::copy_if(problem.choices, std::back_inserter(admitted),
                         [&](const GlobalChoice& choice) { return space->admits(choice); });
    if (admitted.empty() && !problem.choices.empty())
      report_contradiction(model, dimensions, options.devices_in_node, problem.choices, options.pins);
    problem.choices = std::move(admitted);
  }
  problem.candidates = [space](int layer, const GlobalChoice& choice) -> const std::vector<Candidate>& {
    return space->candidates(layer, choice);
  };
  return problem;
}

GlobalChoice choice_of(const Plan& plan) {
  return {.batch = plan.batch,
          .micro_batches = plan.micro_batches,
          .atoms = plan.atoms,
          .schedule = plan.schedule,
          .stages = static_cast<int>(plan.stages.size())};
}

Plan plan_under(const GlobalChoice& choice) {
  return {.batch = choice.batch,
          .micro_batches = choice.micro_batches,
          .devices = choice.stages * DeviceLine{choice.atoms}.size(),
          .atoms = choice.atoms,
          .schedule = choice.schedule};
}

Bytes Problem::stage_budget(const GlobalChoice& choice, int stage) const {
  if (budgets.empty()) return budget;
  const std::size_t width = static_cast<std::size_t>(DeviceLine{choice.atoms}.size());
  const auto first = budgets.begin() + static_cast<std::ptrdiff_t>(width * static_cast<std::size_t>(stage));
  return *std::min_element(first, first + static_cast<std::ptrdiff_t>(width));
}

const GlobalChoice* Problem::find_choice(const Plan& plan) const {
  const auto found = std::ranges::find(choices, choice_of(plan));
  return found == choices.end() ? nullptr : &*found;
}

bool Problem::fits(const GlobalChoice& choice, const std::vector<Bytes>& memory) const {
  for (std::size_t s = 0; s < memory.size(); ++s)
    if (memory[s] > stage_budget(choice, static_cast<int>(s))) return false;
  return true;
}

Room least_room(const Problem& problem, const GlobalChoice& choice, const std::vector<Bytes>& memory) {
  Room least;
  for (std::size_t s = 0; s < memory.size(); ++s) {
    const Bytes bytes = problem.stage_budget(choice, static_cast<int>(s)) - memory[s];
    if (s == 0 || bytes < least.bytes) least = {static_cast<int>(s), bytes};
  }
  return least;
}

std::strong_ordering operator<=>(const Score& a, const Score& b) {
  // a.step / a.batch against b.step / b.batch
  const __int128 left = static_cast<__int128>(a.step.value) * b.batch;
  const __int128 right = static_cast<__int128>(b.step.value) * a.batch;
  return left < right   ? std::strong_ordering::less
         : left > right ? std::strong_ordering::greater
                        : std::strong_ordering::equal;
}

Picoseconds Score::step_of_batch(std::int64_t other) const {
  const __int128 scaled = static_cast<__int128>(step.value) * other / batch;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  return Picoseconds{scaled > kMost ? kMost : static_cast<std::int64_t>(scaled)};
}

std::string objection(const Problem& problem, const Plan& plan, const PlanCost& cost) {
  const GlobalChoice* choice = problem.find_choice(plan);
  if (!choice || plan.devices != problem.devices)
    return fmt::format("batch {}, {}, {}, schedule {} and atoms [{}] of {} are not among the choices of the problem", plan.batch,
                       number_of(plan.micro_batches, "micro-batch"), number_of(std::ssize(plan.stages), "stage"),
                       plan.schedule, fmt::join(plan.atoms, ", "), number_of(plan.devices, "device"));
  if (plan.layers.size() != problem.model->layers.size())
    return fmt::format("it has {} layers, the model has {}", plan.layers.size(), problem.model->layers.size());
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const std::vector<Candidate>& all = problem.candidates(static_cast<int>(i), *choice);
    const Placed placed = place(plan.layers[i], *problem.model->layers[i], plan.line(), *problem.dimensions);
    if (std::ranges::none_of(all, [&](const Candidate& c) { return c.placement == placed.placement; }))
      return fmt::format("layer {}: '{}' is not a candidate", i, to_string(plan.layers[i]));
  }
  for (std::size_t s = 0; s < cost.memory.size(); ++s)
    if (const Bytes budget = problem.stage_budget(*choice, static_cast<int>(s)); cost.memory[s] > budget)
      return fmt::format("stage {} needs {}, the budget is {}", s, format(cost.memory[s]), format(budget));
  return {};
}

std::vector<StageRange> even_stages(int layers, int stages) {
  if (stages == 1) return {{0, layers - 1}};
  const int around = layers - 2 >= stages ? 1 : 0;  // an embedding and a head are no layers to count
  const int inner = layers - 2 * around;
  std::vector<StageRange> ranges;
  for (int s = 0, next = 0; s < stages; ++s) {
    const int count = inner / stages + (s < inner % stages ? 1 : 0) + (s == 0 || s == stages - 1 ? around : 0);
    ranges.push_back({next, next + count - 1});
    next += count;
  }
  return ranges;
}

std::optional<PlanCost> step_if_possible(const CostOracle& oracle, const Plan& plan) {
  try {
    return oracle.step(plan);
  } catch (const Error& error) {
    if (error.code() == ExitCode::infeasible) return std::nullopt;
    throw;
  }
}

namespace {

// Of every layer by itself the candidate that needs the least; equal layers are asked for once.
class SmallestCandidates {
 public:
  SmallestCandidates(const Problem& problem, const CostOracle& oracle, const GlobalChoice& choice)
      : problem_(problem), oracle_(oracle), choice_(choice) {}

  // nullptr where the layer has none.
  const Candidate* operator()(std::size_t layer) {
    const std::vector<Candidate>& all = problem_.candidates(static_cast<int>(layer), choice_);
    const auto [entry, fresh] = known_.try_emplace({problem_.model->layers[layer].get(), &all});
    if (fresh) entry->second = smallest(static_cast<int>(layer), all);
    return entry->second;
  }

 private:
  const Candidate* smallest(int layer, const std::vector<Candidate>& all) const {
    const Candidate* best = nullptr;
    Bytes least{0};
    for (const Candidate& c : all) {
      const Where where{.choice = &choice_, .shapes = shared_shapes(*problem_.model, choice_, {&c.placement})};
      const LayerCost cost = oracle_.layer(layer, c, where);
      const Bytes memory = cost.states + cost.kept * std::min(choice_.stages, choice_.micro_batches) + cost.last_peak;
      if (!best || memory < least) best = &c, least = memory;
    }
    return best;
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const GlobalChoice& choice_;
  std::map<std::pair<const LayerSpec*, const std::vector<Candidate>*>, const Candidate*> known_;
};

}  // namespace

std::optional<LeastMemory> least_memory(const Problem& problem, const CostOracle& oracle) {
  std::optional<LeastMemory> least;
  for (const GlobalChoice& choice : problem.choices) {
    Plan plan = plan_under(choice);
    plan.stages = even_stages(static_cast<int>(problem.model->layers.size()), choice.stages);
    SmallestCandidates smallest(problem, oracle, choice);
    for (std::size_t i = 0; i < problem.model->layers.size(); ++i) {
      const Candidate* best = smallest(i);
      if (!best) break;
      plan.layers.push_back(best->strategy);
    }
    if (plan.layers.size() != problem.model->layers.size()) continue;
    const std::optional<PlanCost> cost = step_if_possible(oracle, plan);
    if (!cost) continue;
    const Room room = least_room(problem, choice, cost->memory);
    if (!least || room.bytes > least->room.bytes)
      least = LeastMemory{
          .budget = *std::ranges::max_element(cost->memory), .room = room, .plan = std::move(plan)};
  }
  return least;
}

}  // namespace trellis
