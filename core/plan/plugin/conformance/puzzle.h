// A search problem so small that its best plan is found by trying all, with made-up costs: no profile, no derivation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "trellis/plan/schedule.h"
#include "trellis/plan/search.h"

namespace trellis::conformance {

// 4 layers of 3 types on 4 devices, as 1 or 2 stages, with 1 or 4 micro-batches; up to 6 candidates a layer.
class Puzzle final : public CostOracle {
 public:
  explicit Puzzle(Bytes budget);

  const Problem& problem() const { return problem_; }

  LayerCost layer(int layer, const Candidate&, const Where&) const override;
  EdgeCost edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  EdgeCost stage_edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  TieCost tie(int, const Candidate&, int, const Candidate&, bool, const Where&) const override { return {}; }
  Picoseconds step_overhead(const GlobalChoice&) const override { return Picoseconds(40); }
  int alike(const GlobalChoice&, int) const override { return 0; }
  LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
  Slowdown slowdown() const override { return Slowdown(1.2); }
  const PipelineSchedule& schedule(const GlobalChoice&) const override { return schedules_; }
  PlanCost step(const Plan&) const override;  // Error where the plan is none of this problem

  // Why this is no plan of the problem; empty where it is one, whether it fits in memory or not.
  std::string fault(const Plan&) const;
  bool fits(const Plan&) const;

  // The fastest plan that fits, and the plan that needs the least memory, both by trying all.
  struct Answers {
    std::optional<Plan> fastest;
    Bytes least_memory{0};
  };
  Answers solve_by_trying_all() const;

 private:
  // 1F1B as pipeline schedules are written.
  struct Schedules final : PipelineSchedule {
    std::vector<std::string> names() const override { return {"1f1b"}; }
    std::vector<Action> actions(std::string_view, int stage, int stages, int micro_batches) const override;
  };

  const Candidate* candidate_of(const Plan&, int layer, const GlobalChoice&) const;
  const std::vector<Candidate>& candidates(int layer, const GlobalChoice&) const;

  ModelSpec model_;
  Dimensions dimensions_;
  std::map<std::pair<const LayerSpec*, int>, std::vector<Candidate>> candidates_;  // by devices in a line
  Problem problem_;
  Schedules schedules_;
};

}  // namespace trellis::conformance
