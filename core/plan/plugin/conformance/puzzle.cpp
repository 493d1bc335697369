#include "plan/plugin/conformance/puzzle.h"

#include <algorithm>
#include <functional>

#include "plan/plugin/conformance/samples.h"

namespace trellis::conformance {
namespace {

constexpr int kDevices = 4;

// Cuts the batch over the innermost devices.
class Slices final : public Parallelism {
  Traits traits() const override {
    return {.name = "slices", .order = 10, .options = {"degree"}, .ranges = {{"degree", {1, kDevices}}}};
  }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext& space) const override {
    std::vector<Setting> result = {{"slices", {}}};
    for (int degree : inner_degrees(space.line)) result.push_back({"slices", {{"degree", std::to_string(degree)}}});
    return result;
  }
  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    const int degree = static_cast<int>(setting.integer("degree", 1));
    if (degree == 1) return accept();
    const auto axes = placement.claim("slices", degree);
    if (!axes) return reject(unclaimable(placement, degree));
    placement.split(kBatch, *axes);
    return accept();
  }
};

// Keeps less for backward.
class Lean final : public Parallelism {
  Traits traits() const override { return {.name = "lean", .order = 20, .scalars = {"on"}}; }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override {
    return {{"lean", {}}, {"lean", {{"", "on"}}}};
  }
  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    if (setting.on()) placement.retain(Retain::boundary);
    return accept();
  }
};

// Looks random, is the same everywhere: FNV-1a over the text, 0 to n - 1.
std::int64_t pick(const std::string& text, std::int64_t n) {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return static_cast<std::int64_t>((hash ^ hash >> 32) % static_cast<std::uint64_t>(n));
}

int devices_of(const GlobalChoice& choice) { return DeviceLine{choice.atoms}.size(); }

}  // namespace

Puzzle::Puzzle(Bytes budget) {
  const Layers layers = divisible_layers();
  model_.family = "puzzle";
  model_.summary = "4 layers with made-up costs";
  model_.layers = {layers[0], layers[1], layers[1], layers[2]};
  model_.sequence = 24;
  model_.vocab = 96;
  dimensions_ = {std::make_shared<const Slices>(), std::make_shared<const Lean>()};
  for (int stages : {1, 2})
    for (int micro_batches : {1, 4})
      problem_.choices.push_back({.batch = 16,
                                  .micro_batches = micro_batches,
                                  .atoms = stages == 1 ? std::vector<int>{2, 2} : std::vector<int>{2},
                                  .schedule = "1f1b",
                                  .stages = stages});
  for (const auto& layer : layers)
    for (const GlobalChoice& choice : problem_.choices)
      candidates_[{layer.get(), devices_of(choice)}] =
          trellis::candidates(*layer, {DeviceLine{choice.atoms}, 0}, dimensions_);
  problem_.model = &model_;
  problem_.devices = kDevices;
  problem_.budget = budget;
  problem_.dimensions = &dimensions_;
  problem_.candidates = [this](int layer, const GlobalChoice& choice) -> const std::vector<Candidate>& {
    return candidates(layer, choice);
  };
}

const std::vector<Candidate>& Puzzle::candidates(int layer, const GlobalChoice& choice) const {
  const auto found = candidates_.find({model_.layers.at(static_cast<std::size_t>(layer)).get(), devices_of(choice)});
  if (found == candidates_.end()) fail("the problem has no choice with lines of {} devices", devices_of(choice));
  return found->second;
}

// More slices: less time for the work, more for their coordination (how much more depends on the type), more state.
// Lean: more time, less kept.
LayerCost Puzzle::layer(int layer, const Candidate& candidate, const GlobalChoice& choice) const {
  const std::string& type = model_.layers.at(static_cast<std::size_t>(layer))->type;
  const std::string text = type + candidate.placement.key();
  const std::int64_t degree = DeviceLine{choice.atoms}.degree(candidate.placement.axis("slices"));
  const std::int64_t samples = choice.batch / choice.micro_batches;
  const bool is_lean = candidate.placement.retained() == Retain::boundary;
  LayerCost cost;
  cost.forward = Picoseconds(samples * (1000 + pick(text, 400)) / degree + (degree - 1) * pick(type, 9000));
  cost.backward = cost.forward * (is_lean ? 3 : 2);
  cost.update = Picoseconds(500 * degree + pick(text + "update", 200));
  cost.states = Bytes(4000 + 300 * degree + pick(text + "states", 100));
  cost.kept = Bytes(samples * (is_lean ? 100 : 700 + pick(text + "kept", 100)) / degree);
  cost.transient = Bytes(200 + pick(text + "transient", 50));
  return cost;
}

TransitionCost Puzzle::transition(int layer, const Candidate& from, const Candidate& to,
                                  const GlobalChoice& choice) const {
  if (from.placement.axis("slices") == to.placement.axis("slices")) return {};
  const std::string text = fmt::format("{} {} {}", layer, from.placement.key(), to.placement.key());
  const Picoseconds time(choice.batch / choice.micro_batches * (5 + pick(text, 30)));
  return {time, time};
}

const GlobalChoice* Puzzle::choice_of(const Plan& plan) const {
  const auto found = std::find_if(problem_.choices.begin(), problem_.choices.end(), [&](const GlobalChoice& choice) {
    return choice.batch == plan.batch && choice.micro_batches == plan.micro_batches && choice.atoms == plan.atoms &&
           choice.schedule == plan.schedule && choice.stages == static_cast<int>(plan.stages.size());
  });
  return found == problem_.choices.end() ? nullptr : &*found;
}

const Candidate* Puzzle::candidate_of(const Plan& plan, int layer, const GlobalChoice& choice) const {
  Strategy wanted = plan.layers[static_cast<std::size_t>(layer)];
  std::erase_if(wanted, [](const auto& entry) { return !entry.second.on(); });
  for (const Candidate& candidate : candidates(layer, choice))
    if (candidate.strategy == wanted) return &candidate;
  return nullptr;
}

std::string Puzzle::fault(const Plan& plan) const {
  const int layers = static_cast<int>(model_.layers.size());
  const GlobalChoice* choice = choice_of(plan);
  if (!choice) return "its batch, micro-batches, atoms, schedule and number of stages are no choice of the problem";
  if (plan.devices != kDevices) return fmt::format("it is for {} devices, expected {}", plan.devices, kDevices);
  if (static_cast<int>(plan.layers.size()) != layers)
    return fmt::format("it has {} layers, expected {}", plan.layers.size(), layers);
  int next = 0;
  for (const StageRange& stage : plan.stages) {
    if (stage.first != next || stage.last < stage.first) return "its stages do not follow one another";
    next = stage.last + 1;
  }
  if (next != layers) return "its stages do not cover the layers";
  for (int i = 0; i < layers; ++i)
    if (!candidate_of(plan, i, *choice))
      return fmt::format("layer {} has strategy '{}', which is no candidate", i,
                         to_string(plan.layers[static_cast<std::size_t>(i)]));
  return {};
}

// 1F1B with equal micro-batches: the slowest stage sets the pace, the others fill and drain the pipeline once.
PlanCost Puzzle::step(const Plan& plan) const {
  if (const std::string problem = fault(plan); !problem.empty()) fail("the oracle was asked for no plan: {}", problem);
  const GlobalChoice& choice = *choice_of(plan);
  PlanCost cost;
  Picoseconds slowest{0}, sum{0}, update{0};
  for (int s = 0; s < choice.stages; ++s) {
    const StageRange range = plan.stages[static_cast<std::size_t>(s)];
    Picoseconds time{0}, stage_update{0};
    Bytes states{0}, kept{0}, transient{0};
    for (int i = range.first; i <= range.last; ++i) {
      const Candidate& candidate = *candidate_of(plan, i, choice);
      const LayerCost layer_cost = layer(i, candidate, choice);
      time += layer_cost.forward + layer_cost.backward;
      stage_update += layer_cost.update;
      states += layer_cost.states;
      kept += layer_cost.kept;
      transient = std::max(transient, layer_cost.transient);
      if (i == 0) continue;
      const TransitionCost move = transition(i, *candidate_of(plan, i - 1, choice), candidate, choice);
      time += move.forward + move.backward;
    }
    slowest = std::max(slowest, time);
    sum += time;
    update = std::max(update, stage_update);
    cost.memory.push_back(states + kept * std::min(choice.micro_batches, choice.stages - s) + transient);
  }
  cost.step = slowest * (choice.micro_batches - 1) + sum + update;
  cost.samples_per_second = static_cast<double>(choice.batch) / to_seconds(cost.step);
  return cost;
}

bool Puzzle::fits(const Plan& plan) const {
  const PlanCost cost = step(plan);
  return *std::max_element(cost.memory.begin(), cost.memory.end()) <= problem_.budget;
}

Puzzle::Answers Puzzle::solve_by_trying_all() const {
  Answers answers;
  answers.least_memory = Bytes(INT64_MAX);
  Picoseconds best{0};
  const auto judge = [&](const Plan& plan) {
    const PlanCost cost = step(plan);
    const Bytes memory = *std::max_element(cost.memory.begin(), cost.memory.end());
    answers.least_memory = std::min(answers.least_memory, memory);
    if (memory > problem_.budget || (answers.fastest && cost.step >= best)) return;
    answers.fastest = plan;
    best = cost.step;
  };
  const int layers = static_cast<int>(model_.layers.size());
  for (const GlobalChoice& choice : problem_.choices) {
    Plan plan;
    plan.batch = choice.batch, plan.micro_batches = choice.micro_batches, plan.devices = kDevices;
    plan.atoms = choice.atoms, plan.schedule = choice.schedule;
    plan.layers.resize(model_.layers.size());
    const std::function<void(int)> try_layer = [&](int i) {
      if (i == layers) return judge(plan);
      for (const Candidate& candidate : candidates(i, choice)) {
        plan.layers[static_cast<std::size_t>(i)] = candidate.strategy;
        try_layer(i + 1);
      }
    };
    for (int cut = 1; cut < (choice.stages == 1 ? 2 : layers); ++cut) {
      if (choice.stages == 1) plan.stages = {{0, layers - 1}};
      else plan.stages = {{0, cut - 1}, {cut, layers - 1}};
      try_layer(0);
    }
  }
  return answers;
}

}  // namespace trellis::conformance
