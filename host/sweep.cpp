#include "host/sweep.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "host/check_answer.h"
#include "host/interruption.h"
#include "host/table.h"
#include "host/whole_front.h"
#include "plan/base/words.h"

namespace trellis::host {
namespace {

constexpr double kSecondsASolve = 2, kSecondsAFront = 30;

SweepRow row_of(const Planning& p, std::int64_t value, Found found) {
  SweepRow row{.value = value, .from = {}, .found = std::move(found), .words = {}, .tokens = p.model.sequence};
  if (row.found.plan) row.words = in_words(*row.found.plan, p.model);
  return row;
}

void add(SweepResult& result, SweepRow row) {
  ++result.solved;
  result.seconds += row.found.seconds;
  result.rows.push_back(std::move(row));
}

// Before a further value; said once.
bool is_stopped(SweepResult& result) {
  if (!Interruption::came()) return false;
  result.remarks.push_back("stopped: further values were not asked for");
  return true;
}

double largest_gain(const std::vector<FrontPoint>& points) {
  double most = 0;
  for (std::size_t i = 1; i < points.size(); ++i)
    most = std::max(most, points[i].answer.score().seconds_per_sample() / points[i - 1].answer.score().seconds_per_sample() - 1);
  return most;
}

// "choices 77, labels 4711"
std::string counted(const SearchLog& log) {
  std::vector<std::string> words;
  for (const auto& [what, count] : log.counts) words.push_back(fmt::format("{} {}", what, count));
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string within_limit(const Planning& p) {
  return options_of(p, name_of_search(p)).has("limit") ? std::string("within search.limit")
                                                       : fmt::format("in {} s each (search.limit gives more)", kSecondsASolve);
}

std::string percent(double share) { return share < 1 ? fmt::format("{:.2g} %", 100 * share) : fmt::format("{:.0f} %", 100 * share); }

// What is proven of a front, all in one.
std::string proof(const Planning& p, const MemoryFront& front, const std::optional<WholeFront>& whole) {
  if (front.is_proven) return "the front is exact: every answer is proven";
  if (std::ranges::none_of(front.points, [](const FrontPoint& point) { return point.answer.log.lower_bound.value_or(0) > 0; }))
    return fmt::format("search '{}' proves nothing of its answers: there may be faster plans", name_of_search(p));
  if (!whole)
    return fmt::format("not all answers are proven {}: there may be plans between these points", within_limit(p));
  const std::string more = Interruption::came() ? "" : fmt::format(" in {:.3g} s (search.limit gives more)", front.seconds);
  return std::isfinite(whole->widest_gap)
             ? fmt::format("no budget from {} on has a plan that is faster than the best known by more than {}, proven{}",
                           whole_budget(p, front.points.back().needs), percent(whole->widest_gap), more)
             : fmt::format("of some budgets nothing is proven{}", more);
}

std::string nothing_below(const Planning& p, const MemoryFront& front) {
  if (front.points.empty())
    return fmt::format("no plan fits at the upper end{}", front.below->is_proven() ? ", proven" : ", as far as was searched");
  const std::string where = front.is_cut && front.vain + Bytes{1} < front.points.back().needs
                                ? format(whole_budget(p, front.vain))
                                : fmt::format("less than {}", whole_budget(p, front.points.back().needs));
  return fmt::format("in {} nothing fits{}", where, front.below->is_proven() ? ", proven" : ", as far as was searched");
}

// By one search over all budgets where it can; else by one after the other.
SweepResult front(const Planning& p, const SweepRequest& request) {
  const Problem problem = p.problem();
  const Oracle oracle = oracle_of(p);
  const std::string name = name_of_search(p);
  const auto net = [&](std::int64_t whole) { return scaled(Bytes{whole}, 1 - p.margin()); };
  const Bytes from = net(request.sweep.values.front()), to = net(request.sweep.values.back());
  std::optional<WholeFront> whole = whole_front(p, problem, oracle, name, limited(p, name, kSecondsAFront), {from, to});
  // A front ends where an answer has no plan.
  MemoryFront front = whole ? std::move(whole->front)
                            : memory_front(problem, oracle, until_stopped(solver_of(p, oracle, name, kSecondsASolve)), from,
                                           to, request.most_points);
  const std::size_t found = front.points.size();
  const std::string proven = found > 0 ? proof(p, front, whole) : "", below = front.below ? nothing_below(p, front) : "";
  front.points = spread_over(std::move(front.points), static_cast<std::size_t>(request.most_points));
  SweepResult result{
      .of = Sweep::Of::memory, .is_front = true, .rows = {}, .remarks = {}, .seconds = front.seconds, .solved = front.solved};
  if (whole) result.search = counted(whole->log);
  if (found == 0 && front.below) result.nothing = *front.below;
  if (front.points.size() < found || front.is_cut)
    result.remarks.push_back(
        fmt::format("{}, spread over the range: from one to the next a {} takes at most {} longer, and what lies between is "
                    "not shown; more --points, or a step (memory=A..B:STEP), show more",
                    whole ? fmt::format("{} of {} points", front.points.size(), found)
                          : fmt::format("{}, of maybe more", number_of(front.points.size(), "point")),
                    is_by_sample(problem) ? "sample" : "step", percent(largest_gain(front.points))));
  if (Interruption::came())
    result.remarks.push_back(whole ? "stopped before its end: what is known so far" : "stopped: other budgets were not asked for");
  for (const std::string& remark : {below, proven})
    if (!remark.empty()) result.remarks.push_back(remark);
  for (auto point = front.points.rbegin(); point != front.points.rend(); ++point) {
    SweepRow row = row_of(p, whole_budget(p, point->asked).value, std::move(point->answer));
    row.from = whole_budget(p, point->needs);
    result.rows.push_back(std::move(row));
  }
  return result;
}

// From the smallest budget up: each plan still fits where the next solve begins.
SweepResult budgets(const Planning& p, const SweepRequest& request) {
  Problem problem = p.problem();
  const Oracle oracle = oracle_of(p);
  const Solver solver = solver_of(p, oracle, name_of_search(p), kSecondsASolve);
  SweepResult result{.of = Sweep::Of::memory, .is_front = false, .rows = {}, .remarks = {}};
  for (const std::int64_t whole : request.sweep.values) {
    if (is_stopped(result)) break;
    problem.budget = scaled(Bytes{whole}, 1 - p.margin());
    SweepRow row = row_of(p, whole, solver(problem));
    if (row.found.plan) {
      row.from = whole_budget(p, row.found.memory());
      problem.start = row.found.plan;
    }
    add(result, std::move(row));
  }
  return result;
}

std::vector<int> fitting_micro_batches(const Planning& p, std::int64_t batch) {
  std::vector<int> counts = p.run.search.micro_batches;
  std::erase_if(counts, [&](int m) { return m > batch; });
  if (counts.empty() && !p.run.search.micro_batches.empty())
    fail(ExitCode::bad_input, "--sweep batch: none of search.micro_batches can be made of a batch of {}", batch);
  return counts;
}

SweepResult spaces(const Planning& p, const SweepRequest& request) {
  const Oracle oracle = oracle_of(p);
  const SpaceOptions own = p.space();
  const Solver solver = solver_of(p, oracle, name_of_search(p), kSecondsASolve);
  SweepResult result{.of = request.sweep.of, .is_front = false, .rows = {}, .remarks = {}};
  for (const std::int64_t value : request.sweep.values) {
    if (is_stopped(result)) break;
    SpaceOptions space = own;
    space.start.reset();
    if (request.sweep.of == Sweep::Of::batch) {
      space.batch = value, space.batches = {value};
      space.micro_batches = fitting_micro_batches(p, value);
    } else {
      space.devices = static_cast<int>(value);
      space.devices_in_node = std::min(p.cluster.devices_per_node, space.devices);
    }
    add(result, row_of(p, value, solver(make_problem(p.model, p.dimensions, space))));
  }
  return result;
}

SweepResult sequences(const Context& context, const SweepRequest& request) {
  SweepResult result{.of = Sweep::Of::sequence, .is_front = false, .rows = {}, .remarks = {}};
  for (const std::int64_t value : request.sweep.values) {
    if (is_stopped(result)) break;
    std::vector<std::string> overrides = request.overrides;
    overrides.push_back(fmt::format("model.sequence={}", value));
    const Planning p = Planning::load(context, request.run_file, overrides, request.devices);
    const Problem problem = p.problem();
    const Oracle oracle = oracle_of(p);
    add(result, row_of(p, value, solver_of(p, oracle, name_of_search(p), kSecondsASolve)(problem)));
  }
  return result;
}

void check_budgets(const Planning& p, Sweep::Of of) {
  if (p.budgets().empty() || (of != Sweep::Of::memory && of != Sweep::Of::gpus)) return;
  throw Error(ExitCode::usage,
              fmt::format("--sweep {}: the devices of this run have different memory", of == Sweep::Of::memory ? "memory" : "gpus"),
              of == Sweep::Of::memory
                  ? "a sweep gives all devices the same: to see that, write search.budget=SIZE with it"
                  : "what other devices would have is not known: write search.budget=SIZE for all of them");
}

std::string word_of(Sweep::Of of) {
  switch (of) {
    case Sweep::Of::memory:
      return "memory";
    case Sweep::Of::gpus:
      return "gpus";
    case Sweep::Of::batch:
      return "batch";
    case Sweep::Of::sequence:
      break;
  }
  return "sequence";
}

}  // namespace

const SweepRow* SweepResult::best() const {
  const SweepRow* best = nullptr;
  for (const SweepRow& row : rows)
    if (row.found.plan && (!best || row.tokens_per_second() > best->tokens_per_second())) best = &row;
  return best;
}

SweepResult sweep(const Context& context, const Planning& p, const SweepRequest& request) {
  check_budgets(p, request.sweep.of);
  if (request.sweep.of == Sweep::Of::memory) return request.sweep.is_front ? front(p, request) : budgets(p, request);
  return request.sweep.of == Sweep::Of::sequence ? sequences(context, request) : spaces(p, request);
}

void print(const SweepResult& result) {
  const bool of_memory = result.of == Sweep::Of::memory;
  const bool has_seconds = result.search.empty();  // each row its own
  std::vector<std::vector<std::string>> rows = {{result.is_front ? "best from"
                                                 : of_memory     ? "budget"
                                                                 : word_of(result.of),
                                                 "step", "samples/s", "tokens/s", "memory", "seconds", "status", "plan"}};
  for (const SweepRow& row : result.rows) {
    const Bytes shown{result.is_front ? row.from->value : row.value};
    const std::string value = of_memory ? format(shown) : fmt::format("{}", row.value);
    const std::string seconds = fmt::format("{:.2f}", row.found.seconds);
    if (row.found.plan)
      rows.push_back({value, format(row.found.cost.step), fmt::format("{:.4g}", row.found.cost.samples_per_second),
                      row.tokens > 0 ? fmt::format("{:.0f}", row.tokens_per_second()) : "-",
                      format(row.found.memory()), seconds, row.found.log.status, row.words});
    else
      rows.push_back({value, "-", "-", "-", "-", seconds, row.found.is_proven() ? row.found.log.status : "nothing found",
                      "no plan fits"});
  }
  if (!has_seconds)
    for (auto& row : rows) row.erase(row.begin() + 5);
  print_table(rows);
  for (const std::string& remark : result.remarks) fmt::print("{}\n", remark);
  if (result.search.empty()) fmt::print("{} in {:.2f} s\n", number_of(result.solved, "solve"), result.seconds);
  else fmt::print("one search over all budgets: {}; {:.2f} s\n", result.search, result.seconds);
}

nlohmann::json to_json(const Planning& p, const SweepResult& result) {
  nlohmann::json list = nlohmann::json::array();
  for (const SweepRow& row : result.rows) {
    nlohmann::json json = to_json(p, row.found, {});
    for (const char* of_the_whole : {"plan", "budget_bytes", "estimated", "objective"}) json.erase(of_the_whole);
    const bool of_memory = result.of == Sweep::Of::memory;
    if (result.of == Sweep::Of::sequence) json.erase("flops_per_device"), json.erase("mfu");  // of another model
    json[of_memory ? "budget_bytes" : word_of(result.of)] = row.value;
    if (row.from) json["best_from_bytes"] = row.from->value;
    json["tokens_per_second"] =
        row.found.plan && row.tokens > 0 ? nlohmann::json(row.tokens_per_second()) : nlohmann::json();
    list.push_back(std::move(json));
  }
  return list;
}

}  // namespace trellis::host
