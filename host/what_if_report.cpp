#include "host/what_if_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/interruption.h"
#include "host/price_report.h"
#include "host/table.h"

namespace trellis::host {
namespace {

constexpr double kSecondsASolve = 1, kSecondsANeighbor = 2;

// The plan's own batch, where the run file leaves it open or has another one.
Problem problem_of(Planning& p, const Plan& plan) {
  if (!p.run.train.batch) p.run.train.batch = plan.batch;
  SpaceOptions space = p.space();
  space.start.reset();
  if (std::ranges::count(space.batches, plan.batch) == 0) space.batch = plan.batch, space.batches = {plan.batch};
  std::erase_if(space.micro_batches, [&](int m) { return m > *std::ranges::max_element(space.batches); });
  return make_problem(p.model, p.dimensions, space);
}

class Report {
 public:
  Report(const Planning& p, const Plan& plan, const WhatIf& found, const std::optional<FrontSteps>& steps)
      : p_(p), plan_(plan), found_(found), steps_(steps), beside_(p, plan, found.cost, found.best) {}

  void print() const {
    fmt::print("what if\n");
    if (!found_.outside.empty()) fmt::print("  the plan is not in the space of the search: {}\n", found_.outside);
    print_best();
    print_table(rows());
    print_twins();
    if (found_.price) host::print(p_, *found_.price, *steps_);
    else if (found_.best.plan) fmt::print("  memory: its price is not asked for where devices have different budgets\n");
    if (const std::vector<std::string> missing = not_answered(); !missing.empty())
      fmt::print("  stopped; not answered: {}\n", fmt::join(missing, "; "));
  }

  nlohmann::json json() const {
    nlohmann::json json;
    json["outside"] = found_.outside.empty() ? nlohmann::json() : nlohmann::json(found_.outside);
    json["step_s"] = to_seconds(found_.cost.step);
    json["best"] = beside_.json(found_.best);
    json["groups"] = nlohmann::json::array();
    for (const GroupRunnerUp& g : found_.groups) {
      nlohmann::json entry = beside_.json(g.answer);
      entry["layers"] = g.group.range();
      entry["type"] = g.group.type->type;
      entry["strategy"] = to_string(g.group.strategy);
      json["groups"].push_back(std::move(entry));
    }
    json["dimensions"] = nlohmann::json::array();
    for (const DimensionRunnerUp& d : found_.dimensions) {
      nlohmann::json entry = beside_.json(d.answer);
      entry["dimension"] = d.dimension;
      json["dimensions"].push_back(std::move(entry));
    }
    json["other_choice"] = beside_.json(found_.other_choice);
    json["other_mix"] = beside_.json(found_.other_mix);
    const Answer* next = overall();
    json["runner_up"] = next ? beside_.json(*next) : nlohmann::json();
    json["price_of_memory"] = found_.price ? to_json(beside_, *found_.price, *steps_) : nlohmann::json();
    json["not_answered"] = not_answered();
    return json;
  }

 private:
  // The better one of the two: nothing that differs in choice or mix is better, as far as they are proven.
  const Answer* overall() const {
    const Answer *a = &found_.other_choice, *b = &found_.other_mix;
    if (!a->plan || !b->plan) return a->plan ? a : b->plan ? b : nullptr;
    return b->score() < a->score() ? b : a;
  }

  void print_best() const {
    const Answer& best = found_.best;
    if (!best.plan) {
      fmt::print("  {}: {}\n", best.is_proven() ? "no plan of the space fits" : "no plan of the space was found that fits",
                 best.log.status);
      return;
    }
    const double extra = beside_.extra_seconds(best);
    if (extra < 0 || !found_.outside.empty())
      fmt::print("  {} plan of the space takes {} a step ({}; {}): {}\n",
                 best.is_proven() ? "the best" : "the best known", best.cost.step, beside_.exact_difference(extra),
                 best.log.status, in_words(*best.plan, p_.model));
    else
      fmt::print("  {} a step; {} ({})\n", found_.cost.step,
                 best.is_proven() ? "no plan of the space is better" : "nothing better was found", best.log.status);
  }

  std::vector<std::string> row(const std::string& what, const Answer& other) const {
    if (!other.plan) return {what, "-", "-", other.log.status, "none"};
    return {what, format(other.cost.step), beside_.difference(other), other.log.status, in_words(*other.plan, p_.model)};
  }

  // As fast with something else in these layers: of interest by its memory at the most.
  bool is_twin(const GroupRunnerUp& g) const {
    return g.answer.plan && g.answer.score() == score(plan_, found_.cost);
  }

  std::vector<std::vector<std::string>> rows() const {
    std::vector<std::vector<std::string>> rows = {{"  runner-up", "step", "difference", "status", "plan"}};
    for (const DimensionRunnerUp& d : found_.dimensions)
      rows.push_back(row(fmt::format("  without {} in any layer", d.dimension), d.answer));
    for (const GroupRunnerUp& g : found_.groups)
      if (!is_twin(g)) rows.push_back(row(fmt::format("  {}", layers_in_words(g.group)), g.answer));
    rows.push_back(row("  another global choice", found_.other_choice));
    rows.push_back(row("  another mix of strategies", found_.other_mix));
    return rows;
  }

  static std::string layers_in_words(const StrategyGroup& group) {
    return fmt::format("layers {}: {} without '{}'", group.range(), group.type->type, to_string(group.strategy));
  }

  void print_twins() const {
    for (const GroupRunnerUp& g : found_.groups)
      if (is_twin(g))
        fmt::print("  {}: another strategy there is as fast, in {}\n", layers_in_words(g.group),
                   digits_apart(g.answer.memory(), largest()));
  }
  Bytes largest() const { return *std::ranges::max_element(found_.cost.memory); }

  // What a signal left open; empty where none came.
  std::vector<std::string> not_answered() const {
    std::vector<std::string> missing;
    if (!Interruption::came()) return missing;
    const auto look = [&](const std::string& what, const Answer& answer) {
      if (!answer.is_proven() && !answer.log.lower_bound) missing.push_back(what);
    };
    look("the best plan", found_.best);
    for (const DimensionRunnerUp& d : found_.dimensions) look(fmt::format("without {} in any layer", d.dimension), d.answer);
    for (const GroupRunnerUp& g : found_.groups) look(layers_in_words(g.group), g.answer);
    look("another global choice", found_.other_choice);
    look("another mix of strategies", found_.other_mix);
    if (steps_ && !(steps_->below.is_proven && steps_->above.is_proven)) missing.push_back("the price of memory");
    return missing;
  }

  const Planning& p_;
  const Plan& plan_;
  const WhatIf& found_;
  const std::optional<FrontSteps>& steps_;
  const BesidePlan beside_;
};

}  // namespace

nlohmann::json what_if_of(Planning& p, const Plan& plan) {
  const Problem problem = problem_of(p, plan);
  const Oracle oracle = oracle_of(p);
  const Interruption interruption;
  const Solver solver = until_stopped(solver_of(p, oracle, "exact", kSecondsASolve));
  WhatIf found = what_if(problem, oracle, solver, plan);
  std::optional<FrontSteps> steps;
  if (found.price) {
    steps = front_steps(problem, oracle, solver, *found.price,
                        {.seconds = seconds_of_limit(p, kSecondsANeighbor)});
    found.price->here = steps->here;
  }
  const Report report(p, plan, found, steps);
  report.print();
  return report.json();
}

}  // namespace trellis::host
