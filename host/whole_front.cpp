#include "host/whole_front.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "host/check_answer.h"
#include "host/interruption.h"
#include "host/search_watch.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

// The points as answers, each at the largest budget that it is for.
std::vector<FrontPoint> checked(const Planning& p, Problem problem, const CostOracle& oracle, const std::string& name,
                                const BudgetRange& range, std::vector<FoundPoint> found) {
  std::vector<FrontPoint> points;
  for (FoundPoint& point : found) {
    problem.budget = point.asked;
    Answer answer;
    if (const std::string reason = refusal(problem, oracle, point.plan, answer.cost); !reason.empty())
      refuse_answer(name, fmt::format("returned a point of the front at {} that is no answer: {}", point.asked, reason));
    answer.plan = std::move(point.plan);
    answer.log.status = point.status, answer.log.lower_bound = point.lower_bound;
    answer.reached = is_by_sample(problem) ? answer.score().seconds_per_sample() : to_seconds(answer.cost.step);
    if (const std::string claim = false_claim(answer.log, answer.reached); !claim.empty())
      refuse_answer(name, fmt::format("claims of the front at {} what is not so: {}", point.asked, claim));
    sign(p, name, answer);
    if (!points.empty() && (answer.score() <= points.back().answer.score() || answer.memory() >= points.back().needs))
      refuse_answer(name, "returned a front whose points are not slower and smaller from one to the next");
    if (point.asked != (points.empty() ? range.to : points.back().needs - Bytes{1}))
      refuse_answer(name, "returned a point of the front for another budget than where the one before ends");
    const Bytes needs = answer.memory();
    points.push_back({.asked = point.asked, .needs = needs, .answer = std::move(answer)});
  }
  return points;
}

// The search tells of the budgets where its plan is furthest from what may be.
std::string in_words_of_front(const SearchState& state, double seconds) {
  if (!state.step || !state.gap) return in_words(state, seconds);
  return fmt::format("{:.0f} s: no budget has a plan that is faster by more than {:.2g} %; that much from {} on", seconds,
                     100 * *state.gap, state.memory);
}

}  // namespace

std::optional<WholeFront> whole_front(const Planning& p, const Problem& problem, const CostOracle& oracle,
                                      const std::string& name, const Options& options, const BudgetRange& range) {
  const auto algorithm = load_search(p, name);
  const void* extension = algorithm->extension(kFrontSearch);
  if (!extension) return std::nullopt;
  WholeFront result;
  result.log.progress = [](const std::string& line) { log().info("{}", line); };
  result.log.stopped = [] { return Interruption::came(); };
  SearchWatch watch(result.log.progress, "Ctrl-C ends the search with what it has", SearchWatch::Seconds(10), in_words_of_front);
  result.log.known = [&](const SearchState& state) { watch.know(state); };
  const auto start = std::chrono::steady_clock::now();
  FoundFront found = plugin::call(PluginType::search, name, [&] {
    return static_cast<const FrontSearch*>(extension)->solve_front(problem, oracle, range, options, result.log);
  });
  result.log.known = SearchLog().known, result.log.stopped = SearchLog().stopped;
  MemoryFront& front = result.front;
  front.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), front.solved = 1;
  options.finish();
  front.points = checked(p, problem, oracle, name, range, std::move(found.points));
  for (FrontPoint& point : front.points) {
    point.answer.seconds = front.seconds, point.answer.log.counts = result.log.counts;
    if (Interruption::came() && !point.answer.is_proven()) point.answer.log.notes["stopped"] = "before its end: the best plan so far";
    front.is_proven = front.is_proven && point.answer.is_proven();
    if (point.answer.log.lower_bound)  // 0: nothing is known
      result.widest_gap = std::max(result.widest_gap, point.answer.reached / *point.answer.log.lower_bound - 1);
  }
  const Bytes lowest = front.points.empty() ? range.to + Bytes{1} : front.points.back().needs;
  if (lowest > range.from) {
    front.below.emplace();
    front.below->seconds = front.seconds, front.below->log.counts = result.log.counts;
    front.below->log.status = found.nothing_below_proven ? "infeasible, proven" : "nothing found";
    front.vain = lowest - Bytes{1};
    front.is_proven = front.is_proven && found.nothing_below_proven;
  }
  return result;
}

}  // namespace trellis::host
