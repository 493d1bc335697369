#include <algorithm>
#include <limits>

#include "pipeline.h"
#include "pipeline_problem.h"

namespace trellis::galvatron {
namespace {

std::vector<PipelineBounds::Term> make_terms(std::size_t stages, double m) {
  using Term = PipelineBounds::Term;
  const std::size_t last = stages - 1;
  const double filling = m + 1 - static_cast<double>(stages);
  std::vector<Term> terms;
  Term by_last(stages, {1, 0}), by_filling(stages, {1, 0}), by_first(stages);
  by_last[last].on_computed += m - 1;
  by_filling[0].on_computed = filling;
  by_first[0].on_computed = m;
  terms = {by_last, by_filling, by_first};
  for (std::size_t i = 0; i < stages; ++i) {
    const auto exposed = [&](Term term) {
      for (std::size_t j = 0; j <= i; ++j) term[j].on_computed -= 1;
      term[i].on_reduced = 1;
      return term;
    };
    terms.push_back(exposed(by_last));
    terms.push_back(exposed(by_filling));
    if (i == 0) terms.push_back(exposed(by_first));
  }
  // Half and half of two terms is no more than the larger one, and bounds better where they balance.
  Term half = terms[0];
  for (std::size_t i = 0; i < stages; ++i) {
    const Term& other = terms[terms.size() - (stages == 1 ? 1 : 2)];
    half[i] = {(half[i].on_computed + other[i].on_computed) / 2, (half[i].on_reduced + other[i].on_reduced) / 2};
  }
  terms.push_back(half);
  std::sort(terms.begin(), terms.end());
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  return terms;
}

}  // namespace

double time_of(const PipelineProblem& problem, const std::vector<Mix>& mixes) {
  std::vector<double> computed, reduced;
  for (std::size_t i = 0; i < mixes.size(); ++i) {
    computed.push_back(mixes[i].computed + problem.vocabulary[i]);
    reduced.push_back(mixes[i].reduced);
  }
  return pipeline_time(computed, reduced, static_cast<double>(problem.micro_batches));
}

PipelineBounds::PipelineBounds(const PipelineProblem& problem)
    : terms_(make_terms(problem.stages.size(), static_cast<double>(problem.micro_batches))),
      hulls_(problem.stages.size()),
      which_(terms_.size()) {
  for (std::size_t t = 0; t < terms_.size(); ++t)
    for (std::size_t i = 0; i < problem.stages.size(); ++i) {
      const Direction direction = terms_[t][i];
      auto& hulls = hulls_[i];
      const auto found = std::find_if(hulls.begin(), hulls.end(), [&](const auto& h) { return h.first == direction; });
      which_[t].push_back(static_cast<std::size_t>(found - hulls.begin()));
      if (found == hulls.end()) hulls.emplace_back(direction, Hull(problem.stages[i].items, 0, direction));
    }
}

double PipelineBounds::least(const PipelineProblem& problem, std::size_t term, std::size_t stage) const {
  const Stage& s = problem.stages[stage];
  const auto& [direction, hull] = hulls_[stage][which_[term][stage]];
  return s.layers * hull.least(s.budget / s.layers) + direction.on_computed * problem.vocabulary[stage];
}

double PipelineBounds::least(const PipelineProblem& problem, std::size_t term) const {
  double sum = 0;
  for (std::size_t stage = 0; stage < problem.stages.size(); ++stage) sum += least(problem, term, stage);
  return sum;
}

double PipelineBounds::lower_bound(const PipelineProblem& problem) const {
  double bound = 0;
  for (std::size_t term = 0; term < terms_.size(); ++term) bound = std::max(bound, least(problem, term));
  return bound;
}

}  // namespace trellis::galvatron
