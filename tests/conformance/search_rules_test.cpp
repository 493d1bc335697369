#include <doctest/doctest.h>

#include <algorithm>

#include "conformance/broken_rules.h"
#include "plan/plugin/conformance/puzzle.h"
#include "trellis/plan/front_search.h"

namespace trellis {
namespace {

using testing::broken_rules;
using testing::Rules;

// A right search: of all plans with one strategy everywhere and equal stages, the fastest that fits.
class Uniform : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog&) const override {
    if (is_strict) options.finish();
    std::optional<Plan> best;
    Picoseconds time{0};
    for (const GlobalChoice& choice : problem.choices) {
      for (const Candidate& candidate : problem.candidates(0, choice)) {
        const Plan plan = plan_of(problem, choice, candidate);
        const PlanCost cost = oracle.step(plan);
        const bool fits = *std::max_element(cost.memory.begin(), cost.memory.end()) <= problem.budget;
        if ((!fits && is_careful) || (best && cost.step >= time)) continue;
        best = plan;
        time = cost.step;
      }
    }
    return best;
  }

  bool is_strict = true, is_careful = true;

 private:
  static Plan plan_of(const Problem& problem, const GlobalChoice& choice, const Candidate& candidate) {
    Plan plan;
    plan.batch = choice.batch;
    plan.micro_batches = choice.micro_batches;
    plan.devices = problem.devices;
    plan.atoms = choice.atoms;
    plan.schedule = choice.schedule;
    const int layers = static_cast<int>(problem.model->layers.size());
    for (int s = 0; s < choice.stages; ++s)
      plan.stages.push_back({layers * s / choice.stages, layers * (s + 1) / choice.stages - 1});
    plan.layers.assign(problem.model->layers.size(), candidate.strategy);
    return plan;
  }
};

TEST_CASE("a right search breaks no rule") { CHECK(broken_rules(Uniform()) == Rules{}); }

TEST_CASE("a search that ignores the budget is found") {
  Uniform wrong;
  wrong.is_careful = false;
  CHECK(broken_rules(wrong) ==
        Rules{"where memory is scarce its plan fits, or it finds none", "it finds nothing where nothing fits"});
}

TEST_CASE("a search that ignores unknown options is found") {
  Uniform wrong;
  wrong.is_strict = false;
  CHECK(broken_rules(wrong) == Rules{"it refuses an option that it does not know"});
}

TEST_CASE("a search that proves too much is found") {
  struct Wrong final : Uniform {
    std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                              SearchLog& log) const override {
      std::optional<Plan> plan = Uniform::solve(problem, oracle, options, log);
      log.status = "optimal, proven";
      if (bound) log.lower_bound = *bound;
      return plan;
    }
    std::optional<double> bound;
  };
  const Rules expected = {"what it proves is so, where memory is ample and where it is scarce"};
  Wrong wrong;
  CHECK(broken_rules(wrong) == expected);
  wrong.bound = 1e9;
  CHECK(broken_rules(wrong) == expected);
  wrong.bound = 0;  // true of every plan, but the puzzle's best is no uniform one
  CHECK(broken_rules(wrong) == expected);
}

TEST_CASE("a search with a front that is none is found") {
  enum class Fault { none, too_large, overlaps, proves_too_much, bound_of_nothing, nothing_fits };
  // Of the uniform plans; proves nothing.
  struct Front final : Uniform, FrontSearch {
    FoundFront solve_front(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const Options&,
                           SearchLog& log) const override {
      FoundFront front;
      Problem left = problem;
      for (left.budget = range.to; left.budget >= range.from;) {
        const std::optional<Plan> plan = Uniform::solve(left, oracle, Options::empty(), log);
        if (!plan) break;
        front.points.push_back({.plan = *plan, .asked = left.budget, .status = "feasible", .lower_bound = 0});
        const PlanCost cost = oracle.step(*plan);
        const Bytes needs = *std::ranges::max_element(cost.memory);
        if (fault == Fault::too_large) front.points.back().asked = needs - Bytes(1);
        if (fault == Fault::proves_too_much)
          front.points.back().status = "optimal, proven", front.points.back().lower_bound = to_seconds(oracle.step(*plan).step);
        if (fault == Fault::bound_of_nothing) front.points.back().status = "optimal, proven";
        left.budget = fault == Fault::overlaps ? needs : needs - Bytes(1);
        if (fault == Fault::overlaps && front.points.size() == 3) break;
      }
      front.nothing_below_proven = fault == Fault::nothing_fits;
      if (fault == Fault::nothing_fits) front.points.clear();
      return front;
    }
    const void* extension(std::string_view id) const override {
      return id == kFrontSearch ? static_cast<const FrontSearch*>(this) : nullptr;
    }
    Fault fault = Fault::none;
  };
  Front front;
  CHECK(broken_rules(static_cast<const SearchAlgorithm&>(front)) == Rules{});
  for (const Fault fault : {Fault::too_large, Fault::overlaps, Fault::proves_too_much, Fault::bound_of_nothing, Fault::nothing_fits}) {
    CAPTURE(static_cast<int>(fault));
    front.fault = fault;
    CHECK(broken_rules(static_cast<const SearchAlgorithm&>(front)) ==
          Rules{"its front goes from the largest budget down, and what it proves of it is so"});
  }
}

TEST_CASE("a search that finds another plan each time is found") {
  struct Wrong final : Uniform {
    std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                              SearchLog& log) const override {
      Problem one = problem;
      one.choices = {problem.choices[static_cast<std::size_t>(calls++) % problem.choices.size()]};
      return Uniform::solve(one, oracle, options, log);
    }
    mutable int calls = 0;
  };
  CHECK(broken_rules(Wrong()) == Rules{"asked again it finds the same plan"});
}

TEST_CASE("a search whose plan leaves out a layer is found") {
  struct Wrong final : Uniform {
    std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                              SearchLog& log) const override {
      std::optional<Plan> plan = Uniform::solve(problem, oracle, options, log);
      if (plan) plan->layers.pop_back();
      return plan;
    }
  };
  CHECK(broken_rules(Wrong()) == Rules{"it finds a plan of the problem where memory is ample"});
}

TEST_CASE("the puzzle rewards a mix: its best plan is no uniform one, and fits less memory differently") {
  const conformance::Puzzle ample(Bytes(1'000'000));
  const auto answers = ample.solve_by_trying_all();
  REQUIRE(answers.fastest);
  CHECK(ample.fault(*answers.fastest).empty());
  const auto& layers = answers.fastest->layers;
  CHECK(std::count(layers.begin(), layers.end(), layers.front()) < 4);

  const conformance::Puzzle scarce(answers.least_memory);
  const auto lean = scarce.solve_by_trying_all();
  REQUIRE(lean.fastest);
  CHECK(scarce.fits(*lean.fastest));
  CHECK(ample.step(*lean.fastest).step > ample.step(*answers.fastest).step);
}

}  // namespace
}  // namespace trellis
