#include "host/what_if_report.h"

#include <fmt/format.h>

#include <cmath>

#include "host/asking.h"
#include "host/table.h"

namespace trellis::host {
namespace {

constexpr double kSecondsASolve = 1;

// The plan's own batch, where the run file leaves it open or has another one.
Problem problem_of(Planning& p, const Plan& plan) {
  if (!p.run.train.batch) p.run.train.batch = plan.batch;
  SpaceOptions space = p.space();
  space.start.reset();
  if (std::ranges::count(space.batches, plan.batch) == 0) space.batch = plan.batch, space.batches = {plan.batch};
  std::erase_if(space.micro_batches, [&](int m) { return m > *std::ranges::max_element(space.batches); });
  return make_problem(p.model, p.dimensions, space);
}

// How much longer a step of the plan's batch would take.
double extra_seconds(const Plan& plan, const PlanCost& cost, const Answer& other) {
  const double more = other.score().seconds_per_sample() - score(plan, cost).seconds_per_sample();
  return more * static_cast<double>(plan.batch);
}

// Three digits at the least, and no power of ten.
std::string in_digits(double value) {
  return std::abs(value) >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

// "+2.63", "-0.0025", "0": two digits behind the point, or two at the least.
std::string signed_digits(double percent) {
  if (std::abs(percent) < 1e-9) return "0";
  return std::abs(percent) < 0.01 ? fmt::format("{:+.2g}", percent) : fmt::format("{:+.2f}", percent);
}

// In GiB or MiB, with a digit more where two would look the same.
std::string digits_apart(Bytes bytes, Bytes other) {
  return bytes != other && fmt::format("{}", bytes) == fmt::format("{}", other)
             ? fmt::format("{:.3f} MiB", static_cast<double>(bytes.value) / (1 << 20))
             : fmt::format("{}", bytes);
}

std::string memory_difference(Bytes bytes, Bytes other) {
  return bytes < other ? fmt::format("-{}", other - bytes) : fmt::format("+{}", bytes - other);
}

class Report {
 public:
  Report(const Planning& p, const Plan& plan, const WhatIf& found) : p_(p), plan_(plan), found_(found) {}

  void print() const {
    fmt::print("what if\n");
    if (!found_.outside.empty()) fmt::print("  the plan is not in the space of the search: {}\n", found_.outside);
    print_best();
    print_table(rows());
    print_twins();
    print_price();
  }

  nlohmann::json json() const {
    nlohmann::json json;
    json["outside"] = found_.outside.empty() ? nlohmann::json() : nlohmann::json(found_.outside);
    json["step_s"] = to_seconds(found_.cost.step);
    json["best"] = answer(found_.best);
    json["groups"] = nlohmann::json::array();
    for (const GroupRunnerUp& g : found_.groups) {
      nlohmann::json entry = answer(g.answer);
      entry["layers"] = g.group.range();
      entry["type"] = g.group.type->type;
      entry["strategy"] = to_string(g.group.strategy);
      json["groups"].push_back(std::move(entry));
    }
    json["dimensions"] = nlohmann::json::array();
    for (const DimensionRunnerUp& d : found_.dimensions) {
      nlohmann::json entry = answer(d.answer);
      entry["dimension"] = d.dimension;
      json["dimensions"].push_back(std::move(entry));
    }
    json["other_choice"] = answer(found_.other_choice);
    json["other_mix"] = answer(found_.other_mix);
    const Answer* next = overall();
    json["runner_up"] = next ? answer(*next) : nlohmann::json();
    json["price_of_memory"] = price();
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
      fmt::print("  no plan of the space fits: {}\n", best.log.status);
      return;
    }
    const double extra = extra_seconds(plan_, found_.cost, best);
    if (extra < 0 || !found_.outside.empty())
      fmt::print("  {} plan of the space takes {} a step ({}; {}): {}\n",
                 best.is_proven() ? "the best" : "the best known", best.cost.step, exact_difference(extra),
                 best.log.status, in_words(*best.plan, p_.model));
    else
      fmt::print("  {} a step; {} ({})\n", found_.cost.step,
                 best.is_proven() ? "no plan of the space is better" : "nothing better was found", best.log.status);
  }

  double percent(double extra) const { return 100 * extra / to_seconds(found_.cost.step); }

  std::string exact_difference(double extra) const {
    if (extra == 0) return "as fast";
    return fmt::format("{}{}, {} %", extra < 0 ? "-" : "+", format(from_seconds(std::abs(extra))),
                       signed_digits(percent(extra)));
  }

  // Of the best answer that the question has, where only bounds of it are known: from the least that it can be.
  std::string difference(const Answer& other) const {
    const double extra = extra_seconds(plan_, found_.cost, other);
    if (other.is_proven()) return exact_difference(extra);
    const std::optional<double> least = least_extra(other);
    if (!least) return fmt::format("at most {} %", signed_digits(percent(extra)));
    const std::string from = signed_digits(percent(*least)), to = signed_digits(percent(extra));
    if (from == to) return to + " %";
    return fmt::format("{} to {} %{}", from, to, *least < 0 && extra >= 0 ? ", not told apart" : "");
  }

  // By how much the best answer of the question may be faster: by its own bound, and by that of the whole space.
  std::optional<double> least_extra(const Answer& other) const {
    std::optional<double> bound;
    for (const Answer* answer : {&other, &found_.best}) {
      if (!answer->log.lower_bound || !(answer->reached > 0)) continue;
      // A bound is in the unit of what was reached, which is the score.
      const double scored = answer->score().seconds_per_sample();
      const double least = scored * std::min(1.0, *answer->log.lower_bound / answer->reached);
      if (!bound || least > *bound) bound = least;
    }
    if (!bound) return std::nullopt;
    const double here = score(plan_, found_.cost).seconds_per_sample();
    return std::min((*bound - here) * static_cast<double>(plan_.batch), extra_seconds(plan_, found_.cost, other));
  }

  std::vector<std::string> row(const std::string& what, const Answer& other) const {
    if (!other.plan) return {what, "-", "-", other.log.status, "none"};
    return {what, format(other.cost.step), difference(other), other.log.status, in_words(*other.plan, p_.model)};
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

  void print_price() const {
    if (!found_.price && found_.best.plan)
      fmt::print("  memory: its price is not asked for where devices have different budgets\n");
    if (!found_.price) return;
    const MemoryPrice& price = *found_.price;
    const auto line = [&](const char* what, const FrontPoint& smaller, const FrontPoint& larger,
                          const FrontPoint& other) {
      const double extra = extra_seconds(*price.here.answer.plan, price.here.answer.cost, other.answer);
      fmt::print("  memory, {}: {} a step in {} instead of {} ({}): {} ms per GiB ({})\n", what,
                 exact_difference(extra), digits_apart(other.needs, price.here.needs),
                 digits_apart(price.here.needs, other.needs), memory_difference(other.needs, price.here.needs),
                 in_digits(1000 * MemoryPrice::slope(smaller, larger)), other.answer.log.status);
    };
    if (price.less) line("less", *price.less, price.here, *price.less);
    else fmt::print("  memory, less: no plan is known that fits in 5 % less than {}\n", price.here.needs);
    if (price.more) line("more", price.here, *price.more, *price.more);
    else
      fmt::print("  memory, more: {}\n",
                 price.unlimited.is_proven() ? "worth nothing, proven" : "no faster plan was found");
    if (price.more && price.unlimited.plan)
      fmt::print("  memory without limit: {} a step in {} ({})\n",
                 exact_difference(extra_seconds(*price.here.answer.plan, price.here.answer.cost, price.unlimited)),
                 price.unlimited.memory(), price.unlimited.log.status);
  }

  nlohmann::json answer(const Answer& other) const {
    nlohmann::json json = to_json(p_, other, {});
    for (const char* of_the_whole : {"plan", "budget_bytes", "estimated", "objective", "notes"})
      json.erase(of_the_whole);
    if (!other.plan) return json;
    const double extra = extra_seconds(plan_, found_.cost, other);
    json["extra_s"] = extra;
    json["extra_share"] = extra / to_seconds(found_.cost.step);
    return json;
  }

  nlohmann::json price() const {
    if (!found_.price) return nullptr;
    const MemoryPrice& price = *found_.price;
    const auto point = [&](const FrontPoint& point) {
      nlohmann::json json = answer(point.answer);
      json["needs_bytes"] = point.needs.value;
      return json;
    };
    nlohmann::json json = {{"here", point(price.here)}, {"unlimited", answer(price.unlimited)}};
    json["less"] = price.less ? point(*price.less) : nlohmann::json();
    json["more"] = price.more ? point(*price.more) : nlohmann::json();
    json["more_is_next"] = price.more_is_next;
    const auto slope = [](const FrontPoint& smaller, const FrontPoint& larger) {
      return nlohmann::json(MemoryPrice::slope(smaller, larger));
    };
    json["less_s_per_gib"] = price.less ? slope(*price.less, price.here) : nlohmann::json();
    json["more_s_per_gib"] = price.more ? slope(price.here, *price.more) : nlohmann::json();
    return json;
  }

  const Planning& p_;
  const Plan& plan_;
  const WhatIf& found_;
};

}  // namespace

nlohmann::json what_if_of(Planning& p, const Plan& plan) {
  const Problem problem = problem_of(p, plan);
  const Oracle oracle = oracle_of(p);
  const WhatIf found = what_if(problem, oracle, solver_of(p, oracle, "exact", kSecondsASolve), plan);
  const Report report(p, plan, found);
  report.print();
  return report.json();
}

}  // namespace trellis::host
