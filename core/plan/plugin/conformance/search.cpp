// The rules of a search algorithm.
#include "plan/plugin/conformance/conformance.h"
#include "plan/plugin/conformance/puzzle.h"
#include "trellis/plan/front_search.h"

namespace trellis::conformance {
namespace {

std::optional<Plan> solve(const SearchAlgorithm& plugin, const Puzzle& puzzle) {
  SearchLog log;
  return plugin.solve(puzzle.problem(), puzzle, Options::empty(), log);
}

// What it found is a plan, in the budget, and no better than the best there is.
std::string fault(const Puzzle& puzzle, const Plan& plan) {
  if (std::string problem = puzzle.fault(plan); !problem.empty()) return problem;
  if (!puzzle.fits(plan)) return "its plan needs more memory than the budget";
  return {};
}

// What a search claims of its answer, held against the best of all plans.
std::string false_claim(const SearchAlgorithm& plugin, const Puzzle& puzzle) {
  constexpr double kRounding = 1e-9;
  SearchLog log;
  const std::optional<Plan> plan = plugin.solve(puzzle.problem(), puzzle, Options::empty(), log);
  const Puzzle::Answers answers = puzzle.solve_by_trying_all();
  const bool is_proven = log.status.find("proven") != std::string::npos;
  if (!plan)
    return is_proven && answers.fastest
               ? fmt::format("its status is '{}'; a plan of {} fits", log.status, puzzle.step(*answers.fastest).step)
               : std::string();
  if (!answers.fastest) return {};  // another rule judges that
  const Picoseconds best = puzzle.step(*answers.fastest).step, own = puzzle.step(*plan).step;
  if (log.lower_bound && !(*log.lower_bound >= 0 && *log.lower_bound <= to_seconds(best) * (1 + kRounding)))
    return fmt::format("its lower bound is {} s; the best plan takes {} s", *log.lower_bound, to_seconds(best));
  if (is_proven && !log.lower_bound) return fmt::format("its status is '{}', and it gives no lower bound", log.status);
  if (log.status == "optimal, proven" && *log.lower_bound < to_seconds(own) * (1 - 1e-6))
    return fmt::format("its status is '{}', and its lower bound is {} s; its plan takes {} s", log.status, *log.lower_bound,
                       to_seconds(own));
  if (log.status == "optimal, proven" && own > best)
    return fmt::format("its status is '{}'; its plan takes {}, the best {}", log.status, own, best);
  return {};
}

// What is wrong with a front over budgets up to `to`.
std::string fault_of_front(const FrontSearch& search, const Puzzle& ample, Bytes to) {
  SearchLog log;
  const FoundFront front = search.solve_front(ample.problem(), ample, {.from = Bytes(1), .to = to}, Options::empty(), log);
  const Puzzle::Answers answers = ample.solve_by_trying_all();
  if (front.points.empty())
    return front.nothing_below_proven && answers.least_memory <= to ? "it says that nothing fits, and something does" : "";
  Bytes end = to;
  std::optional<Picoseconds> before;
  for (const FoundPoint& point : front.points) {
    const std::string at = fmt::format("the point at {}: ", point.asked);
    if (point.asked != end) return at + fmt::format("it should be for budgets up to {}, where the one before ends", end);
    const Puzzle puzzle(point.asked);
    if (std::string problem = fault(puzzle, point.plan); !problem.empty()) return at + problem;
    const PlanCost cost = puzzle.step(point.plan);
    if (before && cost.step <= *before) return at + "it is not slower than the one before, which needs more memory";
    const Picoseconds best = puzzle.step(*puzzle.solve_by_trying_all().fastest).step;
    if (!(point.lower_bound >= 0 && point.lower_bound <= to_seconds(best) * (1 + 1e-9)))
      return at + fmt::format("its lower bound is {} s; the best plan takes {} s", point.lower_bound, to_seconds(best));
    if (point.status == "optimal, proven" && point.lower_bound < to_seconds(cost.step) * (1 - 1e-6))
      return at + fmt::format("its status is '{}', and its lower bound is {} s", point.status, point.lower_bound);
    if (point.status == "optimal, proven" && cost.step > best)
      return at + fmt::format("its status is '{}'; its plan takes {}, the best {}", point.status, cost.step, best);
    before = cost.step;
    end = *std::ranges::max_element(cost.memory) - Bytes(1);
  }
  return front.nothing_below_proven && answers.least_memory <= end
             ? fmt::format("it says that nothing fits in {}, and something does", end)
             : "";
}

// The rules of a search that brings its own model and costs.
void examine_standalone(const SearchAlgorithm& plugin, const StandaloneSearch& search, Examination& exam) {
  exam.rule("asked for a plan of a Trellis model it refuses, and says why", [&]() -> std::string {
    try {
      solve(plugin, Puzzle(Bytes(1'000'000)));
    } catch (const Error& error) {
      return error.code() == ExitCode::unsupported ? "" : "its error is not of the code 'unsupported'";
    }
    return "it did not refuse";
  });
  exam.rule("it refuses an option that it does not know", [&] {
    SearchLog log;
    try {
      search.solve(Options::from_text("no_such_option: 1\n", "conformance"), log);
    } catch (const Error&) {
      return "";
    }
    return "it accepted 'no_such_option'";
  });
}

}  // namespace

void examine(const SearchAlgorithm& plugin, Examination& exam) {
  if (const void* standalone = plugin.extension(kStandaloneSearch))
    return examine_standalone(plugin, *static_cast<const StandaloneSearch*>(standalone), exam);
  const Puzzle ample(Bytes(1'000'000));
  std::optional<Plan> found;
  const bool solved = exam.rule("it finds a plan of the problem where memory is ample", [&]() -> std::string {
    found = solve(plugin, ample);
    return found ? fault(ample, *found) : "it found nothing";
  });
  if (!solved) return;
  exam.rule("asked again it finds the same plan",
            [&] { return solve(plugin, ample) == found ? "" : "the second plan differs from the first"; });
  exam.rule("where memory is scarce its plan fits, or it finds none", [&] {
    // Between the least that any plan needs and what the fastest one needs.
    const Puzzle::Answers answers = ample.solve_by_trying_all();
    Bytes fastest{0};
    for (Bytes memory : ample.step(*answers.fastest).memory) fastest = std::max(fastest, memory);
    for (int quarter = 0; quarter <= 3; ++quarter) {
      const Puzzle scarce(answers.least_memory + (fastest - answers.least_memory) * quarter / 4);
      const std::optional<Plan> plan = solve(plugin, scarce);
      if (!plan) continue;
      if (std::string problem = fault(scarce, *plan); !problem.empty())
        return fmt::format("budget {}: {}", scarce.problem().budget, problem);
    }
    return std::string();
  });
  exam.rule("it finds nothing where nothing fits",
            [&] { return solve(plugin, Puzzle(Bytes(1))) ? "it found a plan for a budget of 1 B" : ""; });
  exam.rule("what it proves is so, where memory is ample and where it is scarce", [&] {
    const Puzzle::Answers answers = ample.solve_by_trying_all();
    for (const Bytes budget : {Bytes(1'000'000), answers.least_memory, answers.least_memory - Bytes(1)})
      if (std::string claim = false_claim(plugin, Puzzle(budget)); !claim.empty())
        return fmt::format("budget {}: {}", budget, claim);
    return std::string();
  });
  if (const void* front = plugin.extension(kFrontSearch))
    exam.rule("its front goes from the largest budget down, and what it proves of it is so", [&] {
      const Puzzle::Answers answers = ample.solve_by_trying_all();
      for (const Bytes to : {Bytes(1'000'000), answers.least_memory, answers.least_memory - Bytes(1)})
        if (std::string problem = fault_of_front(*static_cast<const FrontSearch*>(front), ample, to); !problem.empty())
          return fmt::format("budgets up to {}: {}", to, problem);
      return std::string();
    });
  exam.rule("it refuses an option that it does not know", [&] {
    SearchLog log;
    try {
      plugin.solve(ample.problem(), ample, Options::from_text("no_such_option: 1\n", "conformance"), log);
    } catch (const Error&) {
      return "";
    }
    return "it accepted 'no_such_option'";
  });
}

}  // namespace trellis::conformance
