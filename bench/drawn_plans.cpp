#include "bench/drawn_plans.h"

#include <algorithm>
#include <random>
#include <string>

#include "trellis/plan/error.h"

namespace trellis::bench {
namespace {

constexpr int kMostAttempts = 1000;

class Drawing {
 public:
  Drawing(const ModelSpec& model, const Dimensions& dimensions, const SpaceOptions& options, std::uint64_t seed)
      : model_(model), problem_(make_problem(model, dimensions, options)), random_(seed) {}

  Plan plan(bool alike) {
    Plan plan;
    plan.devices = problem_.devices;
    const GlobalChoice& choice = problem_.choices[below(problem_.choices.size())];
    plan.batch = choice.batch, plan.micro_batches = choice.micro_batches;
    plan.atoms = choice.atoms, plan.schedule = choice.schedule;
    plan.stages = stages(choice.stages);
    std::map<std::string, Strategy> of_type;
    for (std::size_t i = 0; i < model_.layers.size(); ++i) {
      const auto& candidates = problem_.candidates(static_cast<int>(i), choice);
      const Strategy& drawn = candidates[below(candidates.size())].strategy;
      plan.layers.push_back(alike ? of_type.try_emplace(model_.layers[i]->type, drawn).first->second : drawn);
    }
    return plan;
  }

 private:
  // Not std::uniform_int_distribution: its numbers differ between standard libraries.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  std::vector<StageRange> stages(int count) {
    const int layers = static_cast<int>(model_.layers.size());
    std::vector<int> cuts;
    while (static_cast<int>(cuts.size()) < count - 1) {
      const int cut = 1 + static_cast<int>(below(static_cast<std::size_t>(layers - 1)));
      if (std::ranges::count(cuts, cut) == 0) cuts.push_back(cut);
    }
    std::ranges::sort(cuts);
    std::vector<StageRange> ranges;
    int first = 0;
    for (const int cut : cuts) ranges.push_back({first, cut - 1}), first = cut;
    ranges.push_back({first, layers - 1});
    return ranges;
  }

  const ModelSpec& model_;
  const Problem problem_;
  std::mt19937_64 random_;
};

}  // namespace

std::vector<Plan> draw_plans(const ModelSpec& model, const Dimensions& dimensions, const OpLibrary& ops,
                             const SpaceOptions& options, int count, std::uint64_t seed) {
  Drawing drawing(model, dimensions, options, seed);
  std::vector<Plan> plans;
  for (int attempt = 0; static_cast<int>(plans.size()) < count; ++attempt) {
    if (attempt == kMostAttempts) fail(ExitCode::infeasible, "{} draws gave {} plans only", attempt, plans.size());
    Plan plan = drawing.plan(plans.size() % 2 == 0);
    if (std::ranges::count(plans, plan) > 0) continue;
    try {
      compile(plan, model, dimensions, ops, Dtype::f32);
      plans.push_back(std::move(plan));
    } catch (const Error& error) {
      if (error.code() != ExitCode::infeasible) throw;
    }
  }
  return plans;
}

}  // namespace trellis::bench
