// The reference's own search. Its answer need not be the best by its own formula: the dynamic programming minimizes the
// time of one micro-batch with gradient reduction (a defect with several micro-batches), stage by stage, in whole MB
// and with transitions, and the pipeline formula, which knows none of that, then ranks what it found.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "answer.h"
#include "dense_dp.h"
#include "pipeline.h"

namespace trellis::galvatron {
namespace {

std::int64_t whole_mb(double megabytes) { return static_cast<std::int64_t>(std::ceil(megabytes)); }

void keep_better(std::optional<Solution>& best, Solution candidate) {
  if (!best || candidate.step < best->step) best = std::move(candidate);
}

class TaskSearch {
 public:
  TaskSearch(const CostModel& costs, const Task& task, const Space& space)
      : costs_(costs),
        task_(task),
        space_(restrict(space, task, costs.settings())),
        division_(divide_evenly(costs.settings().layers, task.stages)),
        budget_(budget_of(costs.settings())) {}

  std::optional<Solution> run() {
    if (space_.layers.empty() || space_.vocabulary.empty()) return std::nullopt;
    return costs_.settings().fine_grained ? fine() : coarse();
  }

 private:
  std::size_t stages() const { return static_cast<std::size_t>(task_.stages); }

  Solution solution(const Layout& vocabulary) const {
    return {task_, vocabulary, {}, division_, 0, std::vector<double>(stages()), std::vector<double>(stages())};
  }

  void set_left(Solution& found, std::size_t stage, std::int64_t left) const {
    found.left[stage] = static_cast<double>(left);
    found.used[stage] = static_cast<double>(budget_.usable - left + budget_.held_back);
  }

  StageProblem problem(std::size_t stage) const {
    const std::size_t count = space_.layers.size();
    StageProblem result{division_[stage], {}, {}, std::vector<double>(count * count)};
    for (const Layout& layout : space_.layers) {
      result.memory.push_back(whole_mb(costs_.layer_memory(layout, task_, static_cast<int>(stage)).total()));
      result.cost.push_back(costs_.layer_time(layout, task_).sync);
    }
    for (std::size_t from = 0; from < count; ++from)
      for (std::size_t to = 0; to < count; ++to)
        result.transition[from * count + to] = costs_.transition(space_.layers[from], space_.layers[to], task_);
    return result;
  }

  std::optional<Solution> fine() const {
    // The buffer is rounded down, everything else up.
    const auto buffer = static_cast<std::int64_t>(costs_.shared_buffer(task_));
    std::vector<Solution> found;
    std::vector<std::vector<std::int64_t>> rows;  // MB for the layers by vocabulary strategy and stage
    for (const Layout& vocabulary : space_.vocabulary) {
      found.push_back(solution(vocabulary));
      rows.emplace_back();
      for (const double memory : costs_.vocabulary(vocabulary, task_).memory)
        rows.back().push_back(budget_.usable - whole_mb(memory) - buffer);
    }
    std::vector<bool> fits(found.size(), true);
    for (std::size_t stage = 0; stage < stages(); ++stage) {
      std::int64_t lowest = budget_.usable, highest = -1;
      for (std::size_t v = 0; v < rows.size(); ++v) {
        if (rows[v][stage] < 0) fits[v] = false;
        if (!fits[v]) continue;
        lowest = std::min(lowest, rows[v][stage]);
        highest = std::max(highest, rows[v][stage]);
      }
      if (highest < 0) return std::nullopt;
      const DenseDp dp(problem(stage), lowest, highest);
      for (std::size_t v = 0; v < rows.size(); ++v) {
        if (!fits[v]) continue;
        const auto answer = dp.at(rows[v][stage]);
        fits[v] = answer.has_value();
        if (!answer) continue;
        for (const int s : answer->strategies) found[v].layers.push_back(space_.layers[static_cast<std::size_t>(s)]);
        set_left(found[v], stage, answer->remaining);
      }
    }
    std::optional<Solution> best;
    for (std::size_t v = 0; v < found.size(); ++v) {
      if (!fits[v]) continue;
      found[v].step = step_time(costs_, found[v]);
      keep_better(best, found[v]);
    }
    return best;
  }

  // One strategy for everything. Here the buffer is rounded up. (Defect not reproduced: up to 20 GiB it ends in an
  // AttributeError; the budget is used whole, as in the other mode.)
  std::optional<Solution> coarse() const {
    std::optional<Solution> best;
    for (const Layout& layout : space_.layers) {
      Layout vocabulary = layout;
      vocabulary.checkpoint = false;
      Solution candidate = solution(vocabulary);
      candidate.layers.assign(static_cast<std::size_t>(costs_.settings().layers), layout);
      const std::vector<double> memory = costs_.vocabulary(vocabulary, task_).memory;
      bool fits = true;
      for (std::size_t stage = 0; stage < stages() && fits; ++stage) {
        const std::int64_t layer = whole_mb(costs_.layer_memory(layout, task_, static_cast<int>(stage)).total());
        const std::int64_t used =
            whole_mb(costs_.shared_buffer(task_)) + whole_mb(memory[stage]) + division_[stage] * layer;
        set_left(candidate, stage, budget_.usable - used);
        fits = used <= budget_.usable;
      }
      if (!fits) continue;
      candidate.step = step_time(costs_, candidate);
      keep_better(best, std::move(candidate));
    }
    return best;
  }

  const CostModel& costs_;
  Task task_;
  Space space_;
  std::vector<int> division_;
  Budget budget_;
};

}  // namespace

double step_time(const CostModel& costs, const Solution& solution) {
  std::vector<double> computed = costs.vocabulary(solution.vocabulary, solution.task).no_sync;
  std::vector<double> reduced(computed.size(), 0);
  std::map<Layout, LayerTime> times;
  std::size_t layer = 0;
  for (std::size_t stage = 0; stage < computed.size(); ++stage) {
    double layers = 0;
    for (int i = 0; i < solution.division[stage]; ++i) {
      const Layout& layout = solution.layers[layer++];
      auto found = times.find(layout);
      if (found == times.end()) found = times.emplace(layout, costs.layer_time(layout, solution.task)).first;
      layers += found->second.no_sync;
      reduced[stage] += found->second.sync;
    }
    computed[stage] += layers;
  }
  return pipeline_time(computed, reduced, static_cast<double>(solution.task.micro_batches));
}

SearchOutcome search_as_reference(const CostModel& costs, const Stopped& stopped) {
  const auto start = std::chrono::steady_clock::now();
  const Space space = make_space(costs.settings());
  const std::vector<Task> tasks = make_tasks(costs.settings(), space);
  std::vector<std::optional<Solution>> found(tasks.size());
  in_parallel(costs.settings().threads, tasks.size(),
              [&](std::size_t i) {
                if (!stopped()) found[i] = TaskSearch(costs, tasks[i], space).run();
              });
  SearchOutcome outcome;
  outcome.stopped = stopped();
  for (auto& solution : found) {
    if (!solution) continue;
    ++outcome.explored["searches with a plan"];
    if (!outcome.best || solution->throughput() > outcome.best->throughput()) outcome.best = std::move(*solution);
  }
  outcome.explored["searches"] = static_cast<std::int64_t>(tasks.size());
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace trellis::galvatron
