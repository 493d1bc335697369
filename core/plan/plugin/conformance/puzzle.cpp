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
LayerCost Puzzle::layer(int layer, const Candidate& candidate, const Where& where) const {
  const std::string& type = model_.layers.at(static_cast<std::size_t>(layer))->type;
  const std::string text = type + candidate.placement.key();
  const std::int64_t degree = DeviceLine{where.choice->atoms}.degree(candidate.placement.axis("slices"));
  const std::int64_t samples = where.shapes.micro_batch;
  const bool is_lean = candidate.placement.retained() == Retain::boundary;
  LayerCost cost;
  cost.forward.busy = Picoseconds(samples * (1000 + pick(text, 400)) / degree + (degree - 1) * pick(type, 9000));
  cost.forward.link = cost.forward.busy / (degree + 1);
  cost.backward.busy = cost.forward.busy * (is_lean ? 3 : 2);
  cost.backward.link = cost.forward.link * 2;
  cost.reduce_last = Picoseconds((degree - 1) * pick(text + "reduction", 800));
  cost.update = Picoseconds(500 * degree + pick(text + "update", 200));
  cost.states = Bytes(4000 + 300 * degree + pick(text + "states", 100));
  cost.kept = Bytes(samples * (is_lean ? 100 : 700 + pick(text + "kept", 100)) / degree);
  cost.forward_peak = cost.backward_peak = cost.kept + Bytes(200 + pick(text + "transient", 50));
  cost.last_peak = cost.backward_peak + Bytes(30 * (degree - 1));
  cost.entry = cost.exit = static_cast<int>(degree);
  return cost;
}

EdgeCost Puzzle::edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  const auto degree = [&](const Candidate& c) {
    return DeviceLine{where.choice->atoms}.degree(c.placement.axis("slices"));
  };
  if (degree(from) == degree(to)) return {};
  const std::string text = fmt::format("{} {} {}", layer, degree(from), degree(to));
  const Picoseconds time(where.shapes.micro_batch * (5 + pick(text, 30)));
  return {.forward = time, .backward = time, .bytes = Bytes(pick(text + "bytes", 400))};
}

EdgeCost Puzzle::stage_edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  EdgeCost cost = edge(layer, from, to, where);
  cost.send_forward = cost.send_backward = Picoseconds(where.shapes.micro_batch * 11);
  cost.sent = Bytes(where.shapes.micro_batch * 9);
  return cost;
}

std::vector<Action> Puzzle::Schedules::actions(std::string_view, int stage, int stages, int micro_batches) const {
  std::vector<Action> list;
  const auto forward = [&](int m) {
    if (stage > 0) list.push_back({ActionKind::receive_forward, m});
    list.push_back({ActionKind::forward, m});
    if (stage + 1 < stages) list.push_back({ActionKind::send_forward, m});
  };
  const int ahead = std::min(micro_batches, stages - stage);
  for (int m = 0; m < ahead; ++m) forward(m);
  for (int m = 0; m < micro_batches; ++m) {
    if (stage + 1 < stages) list.push_back({ActionKind::receive_backward, m});
    list.push_back({ActionKind::backward, m});
    if (stage > 0) list.push_back({ActionKind::send_backward, m});
    if (m + ahead < micro_batches) forward(m + ahead);
  }
  return list;
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
  const GlobalChoice* choice = problem_.find_choice(plan);
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

PlanCost Puzzle::step(const Plan& plan) const {
  if (const std::string problem = fault(plan); !problem.empty()) fail("the oracle was asked for no plan: {}", problem);
  std::vector<const Candidate*> chosen;
  for (int i = 0; i < static_cast<int>(plan.layers.size()); ++i)
    chosen.push_back(candidate_of(plan, i, *problem_.find_choice(plan)));
  return composed_step(*this, model_, plan, chosen);
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
    Plan plan = plan_under(choice);
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
