// The order of plans that take as long: the smaller largest stage, then fewer changes of strategy between neighboring
// layers, then the choice that comes first, then the lower candidates, layer by layer, then the cut whose stages end
// earlier.
#pragma once

#include <compare>
#include <optional>
#include <vector>

#include "task.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/search.h"

namespace trellis::exact_search {

struct Rank {
  Bytes largest{0};
  int changes = 0;
  int choice = 0;               // in Problem::choices
  std::vector<int> candidates;  // by layer, in Problem::candidates
  std::vector<int> ends;        // by stage: its last layer
  auto operator<=>(const Rank&) const = default;
};

// The step that a plan of this batch has to be below to be better.
Picoseconds step_to_beat(const Score&, std::int64_t batch);
// Picoseconds a sample as bounds are told: seconds a step of the batch; a sample where the problem has several.
double told_bound(const Problem&, double per_sample, std::int64_t batch);

Bytes largest(const std::vector<Bytes>& memory);
// Its place in Problem::choices; -1 where it has none.
int number_of(const Problem&, const GlobalChoice&);
// Where a plan's layers are among the candidates of its choice; nothing where one is not.
std::optional<std::vector<int>> candidates_of(const Problem&, const GlobalChoice&, const Plan&);
// Nothing where it is no plan of the problem.
std::optional<Rank> rank_of(const Problem&, const Plan&, const std::vector<Bytes>& memory);

// The strategies of a task by number: [kind][option]. Options of different kinds may be one strategy.
std::vector<std::vector<int>> strategies_of(const Task&);

}  // namespace trellis::exact_search
