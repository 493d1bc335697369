#include "order.h"

#include <algorithm>
#include <map>
#include <string>

namespace trellis::exact_search {

Picoseconds step_to_beat(const Score& score, std::int64_t batch) {
  const Picoseconds step = score.step_of_batch(batch);  // rounded down: as long may still be better
  return Score{step, batch} < score ? step + Picoseconds{1} : step;
}

double told_bound(const Problem& problem, double per_sample, std::int64_t batch) {
  const bool several = std::ranges::any_of(
      problem.choices, [&](const GlobalChoice& c) { return c.batch != problem.choices.front().batch; });
  return per_sample * 1e-12 * (several ? 1.0 : static_cast<double>(batch));
}

Bytes largest(const std::vector<Bytes>& memory) { return *std::ranges::max_element(memory); }

int number_of(const Problem& problem, const GlobalChoice& choice) {
  const auto found = std::ranges::find(problem.choices, choice);
  return found == problem.choices.end() ? -1 : static_cast<int>(found - problem.choices.begin());
}

std::optional<std::vector<int>> candidates_of(const Problem& problem, const GlobalChoice& choice, const Plan& plan) {
  std::vector<int> found;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const std::vector<Candidate>& all = problem.candidates(static_cast<int>(i), choice);
    const auto same = std::ranges::find(all, plan.layers[i], &Candidate::strategy);
    if (same == all.end()) return std::nullopt;
    found.push_back(static_cast<int>(same - all.begin()));
  }
  return found;
}

std::optional<Rank> rank_of(const Problem& problem, const Plan& plan, const std::vector<Bytes>& memory) {
  const GlobalChoice choice = choice_of(plan);
  Rank rank{.largest = largest(memory), .choice = number_of(problem, choice)};
  if (rank.choice < 0) return std::nullopt;
  auto candidates = candidates_of(problem, choice, plan);
  if (!candidates) return std::nullopt;
  rank.candidates = std::move(*candidates);
  for (std::size_t i = 1; i < plan.layers.size(); ++i) rank.changes += plan.layers[i] != plan.layers[i - 1];
  for (const StageRange& stage : plan.stages) rank.ends.push_back(stage.last);
  return rank;
}

std::vector<std::vector<int>> strategies_of(const Task& task) {
  std::vector<std::vector<int>> strategies;
  std::map<std::string, int> numbers;
  for (const Kind& kind : task.kinds()) {
    auto& mine = strategies.emplace_back();
    for (int o = 0; o < static_cast<int>(kind.options.size()); ++o) {
      const std::string words = to_string(task.strategy(kind.layer, o));
      mine.push_back(numbers.try_emplace(words, static_cast<int>(numbers.size())).first->second);
    }
  }
  return strategies;
}

}  // namespace trellis::exact_search
