// A problem that is small enough to try all plans of it, and solves for questions about it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "support/plugins.h"
#include "support/small_gpt.h"
#include "support/trying_all.h"
#include "trellis/plan/whatif.h"

namespace trellis::test {

// Leaves every n-th candidate of a layer only, so that all combinations are few.
inline void thin_out(Problem& problem, std::size_t n) {
  auto kept = std::make_shared<std::map<const Candidate*, std::vector<Candidate>>>();
  problem.candidates = [kept, n, all = problem.candidates](
                           int layer, const GlobalChoice& choice) -> const std::vector<Candidate>& {
    const std::vector<Candidate>& whole = all(layer, choice);
    std::vector<Candidate>& some = (*kept)[whole.data()];
    if (some.empty())
      for (std::size_t c = 0; c < whole.size(); c += n) some.push_back(whole[c]);
    return some;
  };
}

// A small GPT on two devices with few candidates, so that trying all is possible.
struct Small {
  ModelSpec model;
  std::shared_ptr<const Prices> prices = plain_prices();
  Oracle oracle;
  Problem problem;

  explicit Small(int blocks, std::size_t n = 4, std::vector<int> stages = {})
      : model(small_gpt(blocks)),
        oracle(model, dimensions(), op_library(), Dtype::f32, prices),
        problem(make_problem(model, dimensions(),
                             {.batch = 16, .devices = 2, .budget = 1_GiB, .micro_batches = {1, 4}, .stages = stages})) {
    thin_out(problem, n);
  }

  static Answer solve(const Problem& problem, const CostOracle& oracle) {
    Answer answer;
    answer.plan = search("exact")->solve(problem, oracle, Options::empty(), answer.log);
    if (answer.plan) answer.cost = oracle.step(*answer.plan);
    return answer;
  }
  Solver solver() const {
    return [this](const Problem& asked) { return solve(asked, oracle); };
  }
  std::optional<Score> best(Bytes budget) const {
    Problem asked = problem;
    asked.budget = budget;
    return by_trying_all(asked, oracle);
  }
};

}  // namespace trellis::test
