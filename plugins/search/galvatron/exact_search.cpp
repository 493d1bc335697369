// The best by the reference's own formula, in its own space and budget, memory in fractions of MB: no rounding up, no
// dynamic programming over another objective, no transitions (the formula has none).
#include <algorithm>
#include <chrono>
#include <limits>

#include "answer.h"
#include "pipeline_problem.h"

namespace trellis::galvatron {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1 - 1e-12;  // a bound may be this much above the optimum by rounding
constexpr std::int64_t kLabels = 40'000'000;

// A task with one choice for the vocabulary layers.
struct Candidate {
  std::size_t group = 0, vocabulary = 0;
  double bound = 0;  // seconds of a sample
};

// What the choices of the vocabulary share.
class Group {
 public:
  Group(const CostModel& costs, const Task& task, const Space& whole)
      : costs_(costs),
        task_(task),
        space_(restrict(whole, task, costs.settings())),
        division_(divide_evenly(costs.settings().layers, task.stages)),
        budget_(budget_of(costs.settings())) {
    if (space_.layers.empty()) return;
    PipelineProblem problem;
    problem.micro_batches = task.micro_batches;
    for (int stage = 0; stage < task.stages; ++stage) {
      problem.stages.push_back({{}, division_[static_cast<std::size_t>(stage)], 0});
      for (const Layout& layout : space_.layers) {
        const LayerTime time = costs.layer_time(layout, task);
        problem.stages.back().items.push_back(
            {costs.layer_memory(layout, task, stage).total(), time.no_sync, time.sync});
      }
    }
    for (const Layout& layout : space_.vocabulary) vocabulary_.push_back(costs.vocabulary(layout, task));
    problem_ = std::move(problem);
    bounds_.emplace(problem_);
  }

  // Nothing where the choice does not fit. The shared buffer is what the reference takes for it, rounded down.
  std::optional<PipelineProblem> problem(std::size_t vocabulary) const {
    PipelineProblem problem = problem_;
    problem.vocabulary = vocabulary_[vocabulary].no_sync;
    for (std::size_t stage = 0; stage < problem.stages.size(); ++stage) {
      problem.stages[stage].budget = room(vocabulary, stage);
      if (problem.stages[stage].budget < 0) return std::nullopt;
    }
    return problem;
  }

  std::vector<Candidate> candidates(std::size_t group) const {
    std::vector<Candidate> result;
    for (std::size_t v = 0; v < vocabulary_.size(); ++v) {
      const auto one = problem(v);
      const double bound = one ? bounds_->lower_bound(*one) * kRounding : kInfinite;
      if (bound < kInfinite) result.push_back({group, v, bound / batch()});
    }
    return result;
  }

  double batch() const { return static_cast<double>(task_.batch); }
  const PipelineBounds& bounds() const { return *bounds_; }

  Solution solution(std::size_t vocabulary, const Filling& filling) const {
    Solution result{task_, space_.vocabulary[vocabulary], {}, division_, 0, {}, {}};
    for (std::size_t stage = 0; stage < filling.mixes.size(); ++stage) {
      const Mix& mix = filling.mixes[stage];
      // Recomputed layers first, as the reference orders them by its ties.
      for (const bool checkpoint : {true, false})
        for (std::size_t s = mix.counts.size(); s-- > 0;)
          if (space_.layers[s].checkpoint == checkpoint)
            result.layers.insert(result.layers.end(), static_cast<std::size_t>(mix.counts[s]), space_.layers[s]);
      const double left = room(vocabulary, stage) - mix.memory;
      result.left.push_back(left);
      result.used.push_back(static_cast<double>(budget_.usable + budget_.held_back) - left);
    }
    result.step = step_time(costs_, result);
    return result;
  }

 private:
  double room(std::size_t vocabulary, std::size_t stage) const {
    const auto buffer = static_cast<std::int64_t>(costs_.shared_buffer(task_));
    return static_cast<double>(budget_.usable - buffer) - vocabulary_[vocabulary].memory[stage];
  }

  const CostModel& costs_;
  Task task_;
  Space space_;
  std::vector<int> division_;
  Budget budget_;
  PipelineProblem problem_;
  std::optional<PipelineBounds> bounds_;
  std::vector<VocabularyCost> vocabulary_;
};

// The space of tp_only is part of tp_with_sp's, with the same buffer.
std::vector<Task> tasks_of(const CostModel& costs, const Space& space) {
  std::vector<Task> tasks = make_tasks(costs.settings(), space);
  std::erase_if(tasks, [](const Task& task) { return task.mode == TpSp::tp_only; });
  return tasks;
}

void solve_fine(const CostModel& costs, const Space& space, const std::vector<Task>& tasks, const Stopped& stopped,
                SearchOutcome& outcome) {
  std::vector<std::optional<Group>> groups(tasks.size());
  std::vector<std::vector<Candidate>> of_group(tasks.size());
  in_parallel(costs.settings().threads, tasks.size(), [&](std::size_t i) {
    groups[i].emplace(costs, tasks[i], space);
    of_group[i] = groups[i]->candidates(i);
  });
  std::vector<Candidate> candidates;
  for (const auto& some : of_group) candidates.insert(candidates.end(), some.begin(), some.end());
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.bound < b.bound; });

  double best = kInfinite, open = kInfinite;  // seconds of a sample; open: the least bound that was not decided
  Effort effort{kLabels};
  for (const Candidate& candidate : candidates) {
    if (candidate.bound >= best) {
      ++outcome.explored["candidates cut by their bound"];
      continue;
    }
    if (stopped()) {
      outcome.stopped = true, open = std::min(open, candidate.bound);
      break;  // they come in the order of their bounds
    }
    const Group& group = *groups[candidate.group];
    const PipelineProblem problem = *group.problem(candidate.vocabulary);
    const PipelineSolution found = solve(problem, group.bounds(), best * group.batch(), effort);
    ++outcome.explored["candidates solved"];
    if (!found.complete) open = std::min(open, candidate.bound);
    if (!found.best) continue;
    outcome.best = group.solution(candidate.vocabulary, *found.best);
    best = found.best->time / group.batch();
  }
  outcome.explored["candidates"] = static_cast<std::int64_t>(candidates.size());
  outcome.explored["labels"] = effort.spent;
  outcome.proven = open >= best;
  if (outcome.best) outcome.bound = std::min(1 / outcome.best->throughput(), open);
  else if (outcome.stopped && open < kInfinite) outcome.bound = open;
}

// One strategy for everything: all are tried.
void solve_coarse(const CostModel& costs, const Space& space, const std::vector<Task>& tasks, SearchOutcome& outcome) {
  const Budget budget = budget_of(costs.settings());
  for (const Task& task : tasks) {
    const std::vector<int> division = divide_evenly(costs.settings().layers, task.stages);
    if (restrict(space, task, costs.settings()).vocabulary.empty()) continue;
    for (const Layout& layout : restrict(space, task, costs.settings()).layers) {
      ++outcome.explored["plans tried"];
      Layout vocabulary = layout;
      vocabulary.checkpoint = false;
      Solution candidate{task, vocabulary, {}, division, 0, {}, {}};
      candidate.layers.assign(static_cast<std::size_t>(costs.settings().layers), layout);
      const std::vector<double> memory = costs.vocabulary(vocabulary, task).memory;
      for (int stage = 0; stage < task.stages; ++stage) {
        const auto i = static_cast<std::size_t>(stage);
        const double used =
            memory[i] + costs.shared_buffer(task) + division[i] * costs.layer_memory(layout, task, stage).total();
        candidate.left.push_back(static_cast<double>(budget.usable) - used);
        candidate.used.push_back(used + static_cast<double>(budget.held_back));
      }
      if (*std::min_element(candidate.left.begin(), candidate.left.end()) < 0) continue;
      candidate.step = step_time(costs, candidate);
      if (!outcome.best || candidate.throughput() > outcome.best->throughput()) outcome.best = std::move(candidate);
    }
  }
  outcome.proven = true;
  if (outcome.best) outcome.bound = 1 / outcome.best->throughput();
}

}  // namespace

SearchOutcome search_exactly(const CostModel& costs, const Stopped& stopped) {
  const auto start = std::chrono::steady_clock::now();
  const Space space = make_space(costs.settings());
  const std::vector<Task> tasks = tasks_of(costs, space);
  SearchOutcome outcome;
  if (costs.settings().fine_grained) solve_fine(costs, space, tasks, stopped, outcome);
  else solve_coarse(costs, space, tasks, outcome);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace trellis::galvatron
