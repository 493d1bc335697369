#include "choices.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "reals.h"

namespace trellis::exact_search {

std::vector<SharedShapes> shapes_of(const Problem& problem, const GlobalChoice& choice) {
  std::set<std::pair<std::int64_t, std::int64_t>> multiples{{1, 1}};
  std::set<const std::vector<Candidate>*> seen;
  for (int i = 0; i < static_cast<int>(problem.model->layers.size()); ++i) {
    const std::vector<Candidate>& candidates = problem.candidates(i, choice);
    if (!seen.insert(&candidates).second) continue;
    std::set<std::pair<std::int64_t, std::int64_t>> own;
    for (const Candidate& c : candidates) own.emplace(c.placement.multiple(kBatch), c.placement.multiple(kSequence));
    std::set<std::pair<std::int64_t, std::int64_t>> joined;
    for (const auto& a : multiples)
      for (const auto& b : own) joined.emplace(std::lcm(a.first, b.first), std::lcm(a.second, b.second));
    // Several layers of a kind may differ.
    for (const auto& a : own)
      for (const auto& b : std::set(joined)) joined.emplace(std::lcm(a.first, b.first), std::lcm(a.second, b.second));
    multiples = std::move(joined);
  }
  std::set<SharedShapes> shapes;
  for (const auto& [batch, sequence] : multiples) {
    GlobalChoice c = choice;
    SharedShapes s = shared_shapes(*problem.model, c, {});
    s.micro_batch = (s.micro_batch + batch - 1) / batch * batch;
    s.sequence_multiple = pads_sequences(*problem.model, sequence) ? sequence : 1;
    shapes.insert(s);
  }
  return {shapes.begin(), shapes.end()};
}

double CrudeBound::operator()(const GlobalChoice& choice, const SharedShapes& shapes) {
  struct Group {
    double forward = 0, backward = 0, layers = 0;
  };
  std::map<const LayerSpec*, Group> groups;  // layers that are alike
  for (int i = 0; i < static_cast<int>(problem_.model->layers.size()); ++i) {
    const auto [group, fresh] = groups.try_emplace(problem_.model->layers[static_cast<std::size_t>(i)].get());
    if (fresh) {
      const LeastBusy least = oracle_.least_busy(i, choice);
      group->second.forward = static_cast<double>(least.forward.value);
      group->second.backward = static_cast<double>(least.backward.value);
    }
    ++group->second.layers;
  }
  Group sum;
  for (const auto& [spec, g] : groups) sum.forward += g.forward * g.layers, sum.backward += g.backward * g.layers;
  const double chain = sum.forward + sum.backward;
  // Each stage has its own work beside the chain, so the longest such work is at the least their mean by any weights:
  // here by those that make stages equal which have equal shares of the model.
  const std::vector<StageShape>& stages = shapes_of_schedule(choice);
  const auto extra = [](const StageShape& s, double forward, double backward) {
    return s.extra_forward * forward + s.extra_backward * backward;
  };
  double weights = 0, beside = 0;
  for (const StageShape& s : stages) weights += 1 / std::max(extra(s, sum.forward, sum.backward), 1e-30);
  for (const auto& [spec, g] : groups) {
    double least = kInfinite;
    for (const StageShape& s : stages)
      least = std::min(
          least, extra(s, g.forward, g.backward) / (std::max(extra(s, sum.forward, sum.backward), 1e-30) * weights));
    beside += g.layers * least;
  }
  const double m = choice.micro_batches, p = choice.stages;
  const std::int64_t samples = (choice.batch + choice.micro_batches - 1) / choice.micro_batches;
  const double padding = static_cast<double>(shapes.micro_batch) / static_cast<double>(samples);
  return std::max(chain + beside, chain * m / p) * padding * (1 - kRounding);
}

// Alike for all choices with as many stages and micro-batches under one schedule.
const std::vector<StageShape>& CrudeBound::shapes_of_schedule(const GlobalChoice& choice) {
  const auto [found, fresh] = schedules_.try_emplace({choice.schedule, choice.stages, choice.micro_batches});
  if (fresh) {
    std::vector<std::vector<Action>> actions;
    for (int s = 0; s < choice.stages; ++s)
      actions.push_back(oracle_.schedule(choice).actions(choice.schedule, s, choice.stages, choice.micro_batches));
    found->second = stage_shapes(actions);
  }
  return found->second;
}

}  // namespace trellis::exact_search
