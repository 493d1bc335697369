// The reference's pipeline formula as a problem: stages to be filled with mixes, so that pipeline_time() is least.
//
// With a_i what stage i computes in a micro-batch (layers and vocabulary), r_i its layers with gradient reduction, m
// micro-batches and P stages (m >= P), the formula is the largest of
//   a_0 + ... + a_(P-1) + (m-1) a_(P-1)                       the last stage is the bottleneck,
//   m a_0                                                     the first is,
//   (m+1-P) a_0 + a_1 + ... + a_(P-1)                         filling and draining are,
//   each of these + r_i - (a_0 + ... + a_i), for every stage  a gradient reduction is exposed.
// All of these never fall when an a or r grows, but for (m-1) a_0 + r_i - (a_1 + ... + a_i), i >= 1. Where no stage's
// reductions can be longer than the first stage computes that one is never the largest, and of two mixes the one that
// takes less of both times is as good. Elsewhere mixes that compute differently are all kept.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "mix.h"

namespace trellis::galvatron {

struct PipelineProblem {
  std::vector<Stage> stages;
  std::vector<double> vocabulary;  // seconds of a micro-batch, without gradient reduction, by stage
  std::int64_t micro_batches = 1;
};

double time_of(const PipelineProblem&, const std::vector<Mix>& mixes);

// Its bounds; the hulls are shared by problems that differ in budgets and vocabulary only.
class PipelineBounds {
 public:
  explicit PipelineBounds(const PipelineProblem&);
  // No filling takes less; infinite where a stage cannot be filled.
  double lower_bound(const PipelineProblem&) const;

  // One part of the formula that never falls: the sum over stages of direction[i].of(a_i, r_i).
  using Term = std::vector<Direction>;
  const std::vector<Term>& terms() const { return terms_; }
  // The least of a term's share of a stage, its vocabulary included.
  double least(const PipelineProblem&, std::size_t term, std::size_t stage) const;
  double least(const PipelineProblem&, std::size_t term) const;  // of the whole term

 private:
  std::vector<Term> terms_;
  std::vector<std::vector<std::pair<Direction, Hull>>> hulls_;  // by stage: each direction once
  std::vector<std::vector<std::size_t>> which_;                 // hull by term and stage
};

// The best filling under `incumbent` seconds; nothing where there is none.
struct Filling {
  double time = 0;
  std::vector<Mix> mixes;
};
struct PipelineSolution {
  std::optional<Filling> best;
  bool complete = true;  // false: the effort ran out; `best` is good, not proven
};
std::optional<Filling> good_filling(const PipelineProblem&, const PipelineBounds&);
PipelineSolution solve(const PipelineProblem&, const PipelineBounds&, double incumbent, Effort&);

}  // namespace trellis::galvatron
