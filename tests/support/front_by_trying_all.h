// The whole front of step time against memory, by trying all plans.
#pragma once

#include <algorithm>
#include <vector>

#include "support/trying_all.h"

namespace trellis::test {

struct FrontByTrying {
  Bytes needs{0};
  Score score;
};

// From the largest point down, whatever the problem's budget.
inline std::vector<FrontByTrying> front_by_trying_all(Problem problem, const CostOracle& oracle) {
  problem.budgets.clear(), problem.budget = Bytes{std::int64_t{1} << 50};
  std::vector<FrontByTrying> all;
  for_all_plans(problem, oracle, [&](const Plan& plan, const PlanCost& cost, const auto&) {
    all.push_back({*std::ranges::max_element(cost.memory), score(plan, cost)});
  });
  std::ranges::sort(all, [](const FrontByTrying& a, const FrontByTrying& b) {
    return a.score != b.score ? a.score < b.score : a.needs < b.needs;
  });
  std::vector<FrontByTrying> front;
  for (const FrontByTrying& point : all)
    if (front.empty() || point.needs < front.back().needs) front.push_back(point);
  return front;
}

}  // namespace trellis::test
