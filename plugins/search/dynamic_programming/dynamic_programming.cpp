// Per global choice and cut into stages: the best strategies of each stage by dynamic programming over layers, with
// costs of single layers and edges; then the whole plan is replayed, and where the replay finds a stage smaller or
// larger than the sum said, the stage's budget is corrected and the search repeated. A plan is returned only if its
// replay fits.
#include <algorithm>
#include <limits>

#include "labels.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

using dynamic_programming::StageProblem;
using dynamic_programming::StageSolution;

struct Settings {
  int cells, rounds;
};

// Layers of one type under the same pins have the same costs: everything is asked for once a kind.
class ChoiceCosts {
 public:
  ChoiceCosts(const Problem& problem, const CostOracle& oracle, const GlobalChoice& choice)
      : problem_(problem), choice_(choice), slowdown_(oracle.slowdown()) {
    const auto& layers = problem.model->layers;
    for (int i = 0; i < static_cast<int>(layers.size()); ++i) kinds_.push_back(&problem.candidates(i, choice));
    for (int i = 0; i < static_cast<int>(layers.size()); ++i) {
      auto& costs = layers_[kind(i)];
      if (costs.empty())
        for (const Candidate& c : problem.candidates(i, choice)) costs.push_back(layer_cost(oracle, i, c));
    }
    for (int i = 0; i + 1 < static_cast<int>(layers.size()); ++i) {
      auto& edge = edges_[{kind(i), kind(i + 1)}];
      if (edge.empty()) edge = edge_costs(oracle, i);
    }
  }

  // Nothing where a layer has no candidate that can be derived.
  Picoseconds cheapest(int layer) const {
    Picoseconds least{std::numeric_limits<std::int64_t>::max() / 1024};
    for (const auto& cost : layers_.at(kind(layer)))
      if (cost) least = std::min(least, whole_step(*cost));
    return least;
  }

  // The strategies that every layer has, by the time of the whole model, the fastest first.
  std::vector<std::pair<Picoseconds, Strategy>> common() const {
    std::map<Strategy, std::pair<int, Picoseconds>> found;
    const int layers = static_cast<int>(problem_.model->layers.size());
    for (int i = 0; i < layers; ++i) {
      const auto& costs = layers_.at(kind(i));
      for (std::size_t c = 0; c < costs.size(); ++c) {
        if (!costs[c]) continue;
        auto& [count, time] = found[problem_.candidates(i, choice_)[c].strategy];
        ++count, time += whole_step(*costs[c]);
      }
    }
    std::vector<std::pair<Picoseconds, Strategy>> result;
    for (const auto& [strategy, sum] : found)
      if (sum.first == layers) result.emplace_back(sum.second, strategy);
    std::ranges::sort(result);
    return result;
  }

  StageProblem stage(const StageRange& range, int in_flight) const {
    StageProblem stage;
    stage.in_flight = in_flight;
    for (int i = range.first; i <= range.last; ++i) {
      auto& options = stage.layers.emplace_back();
      for (const auto& cost : layers_.at(kind(i))) {
        if (cost) options.push_back({whole_step(*cost), cost->states, cost->kept, transient(*cost), cost->pending});
        else options.push_back({.transient = dynamic_programming::kImpossible});
      }
      if (i > range.first) stage.edges.push_back(&edges_.at({kind(i - 1), kind(i)}));
    }
    return stage;
  }

 private:
  // Layers of one kind have one list of candidates.
  using Kind = const std::vector<Candidate>*;
  Kind kind(int layer) const { return kinds_[static_cast<std::size_t>(layer)]; }

  std::optional<LayerCost> layer_cost(const CostOracle& oracle, int layer, const Candidate& candidate) const {
    try {
      return oracle.layer(layer, candidate, where({&candidate.placement}));
    } catch (const Error& error) {
      if (error.code() != ExitCode::infeasible) throw;
      return std::nullopt;
    }
  }

  std::vector<std::vector<Picoseconds>> edge_costs(const CostOracle& oracle, int layer) const {
    const auto& from = problem_.candidates(layer, choice_);
    const auto& to = problem_.candidates(layer + 1, choice_);
    std::vector<std::vector<Picoseconds>> costs(from.size(), std::vector<Picoseconds>(to.size()));
    for (std::size_t a = 0; a < from.size(); ++a)
      for (std::size_t b = 0; b < to.size(); ++b) {
        if (!layers_.at(kind(layer))[a] || !layers_.at(kind(layer + 1))[b]) continue;
        const EdgeCost cost = oracle.edge(layer, from[a], to[b], where({&from[a].placement, &to[b].placement}));
        costs[a][b] = (cost.forward + cost.backward) * choice_.micro_batches;
      }
    return costs;
  }

  // As if nothing else were in the plan.
  Where where(const std::vector<const Placement*>& placements) const {
    return {.choice = &choice_, .shapes = shared_shapes(*problem_.model, choice_, placements)};
  }

  // Between layers of its own kind.
  Picoseconds whole_step(const LayerCost& cost) const {
    const PassCost &f = cost.forward, &b = cost.backward;
    const Picoseconds passes =
        slowdown_.overlap(f.busy, f.link, f.gather) + slowdown_.overlap(b.busy, b.link, b.gather + cost.reduce_each);
    return passes * choice_.micro_batches + std::max(Picoseconds{0}, cost.reduce_last - b.busy) + cost.update;
  }
  static Bytes transient(const LayerCost& cost) {
    const Bytes peak = std::max({cost.forward_peak, cost.backward_peak, cost.last_peak});
    return std::max(Bytes{0}, peak - cost.kept) + cost.gathered + cost.held;
  }

  const Problem& problem_;
  const GlobalChoice& choice_;
  const Slowdown slowdown_;
  std::vector<Kind> kinds_;
  std::map<Kind, std::vector<std::optional<LayerCost>>> layers_;
  std::map<std::pair<Kind, Kind>, std::vector<std::vector<Picoseconds>>> edges_;
};

// The cut whose slowest stage is the fastest, by the cheapest time of each layer.
std::vector<StageRange> balanced_stages(const ChoiceCosts& costs, int layers, int stages) {
  std::vector<std::int64_t> sum(static_cast<std::size_t>(layers) + 1, 0);
  for (int i = 0; i < layers; ++i)
    sum[static_cast<std::size_t>(i) + 1] = sum[static_cast<std::size_t>(i)] + costs.cheapest(i).value;
  // least[s][n]: the slowest of s stages that hold the first n layers; cut[s][n]: where the last of them begins.
  const auto size = static_cast<std::size_t>(layers) + 1;
  std::vector least(static_cast<std::size_t>(stages) + 1,
                    std::vector<std::int64_t>(size, std::numeric_limits<std::int64_t>::max()));
  std::vector cut(static_cast<std::size_t>(stages) + 1, std::vector<std::size_t>(size, 0));
  least[0][0] = 0;
  for (std::size_t s = 1; s <= static_cast<std::size_t>(stages); ++s)
    for (std::size_t n = s; n < size; ++n)
      for (std::size_t k = s - 1; k < n; ++k) {
        const std::int64_t slowest = std::max(least[s - 1][k], sum[n] - sum[k]);
        if (slowest < least[s][n]) least[s][n] = slowest, cut[s][n] = k;
      }
  std::vector<StageRange> ranges(static_cast<std::size_t>(stages));
  std::size_t end = static_cast<std::size_t>(layers);
  for (std::size_t s = static_cast<std::size_t>(stages); s > 0; --s) {
    ranges[s - 1] = {static_cast<int>(cut[s][end]), static_cast<int>(end) - 1};
    end = cut[s][end];
  }
  return ranges;
}

class Solver {
 public:
  Solver(const Problem& problem, const CostOracle& oracle, const Settings& settings, SearchLog& log)
      : problem_(problem),
        oracle_(oracle),
        settings_(settings),
        log_(log),
        layers_(static_cast<int>(problem.model->layers.size())) {}

  std::optional<Plan> run() {
    // No plan is faster than perfectly balanced stages of the cheapest candidates. The most promising choices first:
    // what they find cuts the others short.
    std::vector<std::pair<Score, const GlobalChoice*>> order;
    std::map<const GlobalChoice*, ChoiceCosts> all_costs;
    for (const GlobalChoice& choice : problem_.choices) {
      if (log_.stopped()) break;
      const ChoiceCosts& costs = all_costs.try_emplace(&choice, problem_, oracle_, choice).first->second;
      Picoseconds work{0};
      for (int i = 0; i < layers_; ++i) work += costs.cheapest(i);
      order.emplace_back(Score{work / choice.stages, choice.batch}, &choice);
    }
    std::ranges::stable_sort(order, {}, &std::pair<Score, const GlobalChoice*>::first);
    for (const auto& [bound, chosen] : order) {
      const GlobalChoice& choice = *chosen;
      const ChoiceCosts& costs = all_costs.at(chosen);
      if (log_.stopped()) break;
      ++log_.counts["choices"];
      if (best_ && bound >= best_score_) {
        ++log_.counts["choices skipped by their bound"];
        continue;
      }
      std::vector<std::vector<StageRange>> cuts{even_stages(layers_, choice.stages)};
      if (choice.stages > 1) cuts.push_back(balanced_stages(costs, layers_, choice.stages));
      if (cuts.size() > 1 && cuts[0] == cuts[1]) cuts.pop_back();
      for (const auto& cut : cuts) try_uniform(choice, costs, cut), try_cut(choice, costs, cut);
    }
    if (best_) regroup();
    if (!runner_up_.empty()) log_.notes["runner-up"] = runner_up_;
    return best_;
  }

 private:
  int most_in_flight(const GlobalChoice& choice, int stage) const {
    return in_flight(
        oracle_.schedule(choice).actions(choice.schedule, stage, choice.stages, choice.micro_batches));
  }

  // One strategy for all layers, the first few by their time until one fits. What layers share (a tied table) no sum
  // over layers sees.
  void try_uniform(const GlobalChoice& choice, const ChoiceCosts& costs, const std::vector<StageRange>& cut) {
    int tries = settings_.rounds;
    for (const auto& [time, strategy] : costs.common()) {
      if (tries-- == 0 || (best_ && Score{time / choice.stages, choice.batch} >= best_score_)) return;
      Plan plan = plan_of(choice, cut, {});
      plan.layers.assign(static_cast<std::size_t>(layers_), strategy);
      const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
      if (!cost) continue;
      ++log_.counts["plans priced"];
      if (consider(plan, *cost)) return;
    }
  }

  void try_cut(const GlobalChoice& choice, const ChoiceCosts& costs, const std::vector<StageRange>& cut) {
    std::vector<StageProblem> stages;
    for (int s = 0; s < choice.stages; ++s)
      stages.push_back(costs.stage(cut[static_cast<std::size_t>(s)], most_in_flight(choice, s)));
    // Sums of single layers are off by what only a whole plan shows; how far, the plan of least memory tells first.
    std::vector<Bytes> budgets(stages.size());
    Plan before;
    for (int round = 0; round <= settings_.rounds && !log_.stopped(); ++round) {
      std::vector<StageSolution> solutions;
      for (std::size_t s = 0; s < stages.size(); ++s) {
        auto solution = round == 0 ? dynamic_programming::least_memory(stages[s])
                                   : dynamic_programming::solve_stage(stages[s], budgets[s], limit(choice), settings_.cells,
                                                                      log_.counts["labels"]);
        if (!solution)
          return void(++log_.counts[round == 0 ? "cuts that cannot be derived" : "cuts without a better plan"]);
        solutions.push_back(std::move(*solution));
      }
      Plan plan = plan_of(choice, cut, solutions);
      if (plan == before) return;
      const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
      if (!cost) return;
      ++log_.counts["plans priced"];
      consider(plan, *cost);
      for (std::size_t s = 0; s < stages.size(); ++s)
        budgets[s] = std::max(Bytes{0}, problem_.stage_budget(choice, static_cast<int>(s)) - cost->memory[s] + solutions[s].memory);
      before = std::move(plan);
    }
  }

  // No stage of a better plan works longer than the best step so far.
  Picoseconds limit(const GlobalChoice& choice) const {
    return best_ ? best_score_.step_of_batch(choice.batch) : Picoseconds{std::numeric_limits<std::int64_t>::max() / 2};
  }

  Plan plan_of(const GlobalChoice& choice, const std::vector<StageRange>& cut,
               const std::vector<StageSolution>& solutions) const {
    Plan plan = plan_under(choice);
    plan.stages = cut;
    for (const StageSolution& solution : solutions)
      for (const int candidate : solution.candidates)
        plan.layers.push_back(
            problem_.candidates(static_cast<int>(plan.layers.size()), choice)[static_cast<std::size_t>(candidate)]
                .strategy);
    return plan;
  }

  // Equal layers of a stage with equal strategies side by side: as good where no cost depends on a neighbor, and easier
  // to read. Taken only if the replay agrees.
  void regroup() {
    Plan plan = *best_;
    for (const StageRange& stage : plan.stages)
      for (int first = stage.first; first <= stage.last;) {
        int end = first;
        while (end <= stage.last && problem_.model->layers[static_cast<std::size_t>(end)] ==
                                        problem_.model->layers[static_cast<std::size_t>(first)])
          ++end;
        std::map<Strategy, int> appearance;
        for (int i = first; i < end; ++i) appearance.try_emplace(plan.layers[static_cast<std::size_t>(i)], i);
        std::stable_sort(plan.layers.begin() + first, plan.layers.begin() + end,
                         [&](const Strategy& a, const Strategy& b) { return appearance.at(a) < appearance.at(b); });
        first = end;
      }
    const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
    if (cost && score(plan, *cost) <= best_score_ && problem_.fits(choice_of(plan), cost->memory)) best_ = plan;
  }

  // Whether it fits.
  bool consider(const Plan& plan, const PlanCost& cost) {
    if (!problem_.fits(choice_of(plan), cost.memory)) return ++log_.counts["plans over budget"], false;
    if (best_ && plan == *best_) return true;
    const auto describe = [](const Plan& p, const PlanCost& c) {
      return fmt::format("{}: pp {}, micro-batches {}, {}", format(c.step), p.stages.size(), p.micro_batches,
                         p.schedule);
    };
    const Score mine = score(plan, cost);
    if (best_ && mine >= best_score_) {
      if (runner_up_.empty() || mine < second_) runner_up_ = describe(plan, cost), second_ = mine;
      return true;
    }
    if (best_) runner_up_ = described_, second_ = best_score_;
    best_ = plan, best_score_ = mine, described_ = describe(plan, cost);
    log_.known({.step = cost.step, .memory = *std::ranges::max_element(cost.memory), .gap = {}});
    log_.progress(described_);
    return true;
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const Settings& settings_;
  SearchLog& log_;
  const int layers_;
  std::optional<Plan> best_;
  Score best_score_, second_;
  std::string described_, runner_up_;
};

class DynamicProgramming final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    const auto count = [&](const char* key, int otherwise) {
      const int value = options.get(key, otherwise);
      if (value < 1) options.reject(key, fmt::format("expected at least 1, found {}", value));
      return value;
    };
    const Settings settings{.cells = count("cells", 256), .rounds = count("rounds", 4)};
    options.finish();
    return Solver(problem, oracle, settings, log).run();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("dynamic_programming", "1.0.0") { registrar.add<trellis::DynamicProgramming>(); }
