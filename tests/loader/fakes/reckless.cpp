// A search whose plan breaks the rule that its option `breaks` names.
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "trellis/plan/cost.h"
#include "trellis/plan/front_search.h"
#include "trellis/plan/plugin.h"

using namespace trellis;

namespace {

class Reckless final : public SearchAlgorithm, public FrontSearch {
 public:
  // Of one plan that needs all of its budget and not a byte less, if one believes it.
  FoundFront solve_front(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const Options& options,
                         SearchLog& log) const override {
    const std::string breaks = options.get("breaks", "");
    std::optional<Plan> plan = solve(problem, oracle, options, log);
    FoundFront front;
    FoundPoint point{.plan = *plan, .asked = range.to, .status = log.status, .lower_bound = log.lower_bound.value_or(0)};
    if (breaks == "front twice") front.points.push_back(point);
    if (breaks == "front budget") point.asked = Bytes{1 << 20};
    if (breaks == "front range") point.asked = range.to + Bytes{1};
    front.points.push_back(std::move(point));
    front.nothing_below_proven = false;
    return front;
  }
  const void* extension(std::string_view id) const override {
    return id == kFrontSearch ? static_cast<const FrontSearch*>(this) : nullptr;
  }

  std::optional<Plan> solve(const Problem& problem, const CostOracle&, const Options& options,
                            SearchLog& log) const override {
    const std::string breaks = options.get("breaks", "");
    if (breaks != "options") options.finish();
    if (breaks == "throws") throw std::out_of_range("vector::at");
    if (breaks == "crashes") std::abort();
    if (breaks == "proof") log.status = "optimal, proven";
    if (breaks == "bound") log.status = "optimal, proven", log.lower_bound = 1e9;
    if (breaks == "number") log.lower_bound = std::nan("");
    if (breaks == "gap") log.status = "optimal, proven", log.lower_bound = 1e-6;
    if (breaks == "status") log.status = "great,\ntrust me";
    const GlobalChoice& choice = problem.choices.front();
    Plan plan{.batch = choice.batch,
              .micro_batches = choice.micro_batches,
              .devices = problem.devices,
              .atoms = choice.atoms,
              .schedule = choice.schedule};
    plan.layers.resize(problem.model->layers.size());
    plan.stages = even_stages(static_cast<int>(plan.layers.size()), choice.stages);
    const auto on = [&](const char* name, std::map<std::string, std::string> with) {
      plan.layers[2][name] = Setting{name, std::move(with)};
    };
    if (breaks == "choice") plan.micro_batches = 7;
    if (breaks == "devices") plan.devices *= 2;
    if (breaks == "stages") plan.stages.front().last -= 1;
    if (breaks == "overlap") plan.stages.push_back(plan.stages.back());
    if (breaks == "layers") plan.layers.pop_back();
    if (breaks == "pin") on("ckpt", {{"value", "full"}});
    if (breaks == "degree") on("tp", {{"degree", "3"}});
    if (breaks == "setting") on("zero", {{"stag", "1"}});
    if (breaks == "off") on("warp", {});
    if (breaks == "dimension") on("time_travel", {{"degree", "2"}});
    return plan;
  }
};

}  // namespace

TRELLIS_PLUGIN("reckless", "1.0.0") { registrar.add<Reckless>(); }
