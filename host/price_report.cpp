#include "host/price_report.h"

#include <fmt/format.h>

namespace trellis::host {
namespace {

std::string slope(const FrontPoint& a, const FrontPoint& b) {
  const bool a_is_smaller = a.needs < b.needs;
  return fmt::format("{} ms per GiB",
                     in_digits(1000 * MemoryPrice::slope(a_is_smaller ? a : b, a_is_smaller ? b : a)));
}

// From one point of the front to another: "+1.20 ms, +0.31 % a step in 55.0 GiB instead of 57.0 GiB (-2.00 GiB): 0.6 ms per GiB".
class PriceText {
 public:
  PriceText(const Planning& p, const FrontPoint& here)
      : here_(here), beside_(p, *here.answer.plan, here.answer.cost, here.answer) {}

  std::string step(const FrontPoint& other) const {
    return fmt::format("{} a step in {} instead of {} ({}): {}", extra(other.answer), digits_apart(other.needs, here_.needs),
                       digits_apart(here_.needs, other.needs), memory_difference(other.needs, here_.needs),
                       slope(here_, other));
  }
  std::string extra(const Answer& other) const { return beside_.exact_difference(beside_.extra_seconds(other)); }

  // A slope to a plan that need not be the neighbor would say nothing.
  std::string below(const FrontSteps& steps) const {
    const FrontNeighbor& below = steps.below;
    if (!below.point)
      return fmt::format("{} in less than {}", below.is_proven ? "proven: nothing fits" : "no plan is known that fits",
                         here_.needs);
    if (below.is_proven) return step(*below.point) + " (proven)";
    return fmt::format("not proven: in less than {} a step takes {}; the plan known needs {}",
                       digits_apart(here_.needs, below.point->needs), beside_.difference(below.point->answer),
                       digits_apart(below.point->needs, here_.needs));
  }

  std::string above(const FrontSteps& steps) const {
    const FrontNeighbor& above = steps.above;
    if (!above.point) return above.is_proven ? "worth nothing, proven" : "no faster plan was found";
    if (above.is_proven) return step(*above.point) + " (proven)";
    const Bytes most = above.point->needs, least = steps.nothing_faster_in;
    return fmt::format("not proven: {}{} a step in {}, at most so much is needed for less",
                       least > Bytes{0} ? fmt::format("nothing faster fits in {}; ", digits_apart(least, most)) : "",
                       extra(above.point->answer), digits_apart(most, least > Bytes{0} ? least : here_.needs));
  }

 private:
  const FrontPoint& here_;
  BesidePlan beside_;
};

nlohmann::json slope_json(const FrontPoint& smaller, const FrontPoint& larger) {
  return MemoryPrice::slope(smaller, larger);
}

nlohmann::json point_json(const BesidePlan& beside, const std::optional<FrontPoint>& point) {
  if (!point) return nullptr;
  nlohmann::json json = beside.json(point->answer);
  json["needs_bytes"] = point->needs.value;
  return json;
}

nlohmann::json points_json(const BesidePlan& beside, const std::optional<FrontPoint>& less,
                           const std::optional<FrontPoint>& more) {
  return {{"less", point_json(beside, less)}, {"more", point_json(beside, more)}};
}

}  // namespace

void print(const Planning& p, const MemoryPrice& price, const FrontSteps& steps) {
  const PriceText next(p, steps.here), apart(p, price.here);
  fmt::print("  memory, from {} at {}:\n", steps.is_point ? "the exact front's point" : "the best plan known,",
             steps.here.needs);
  fmt::print("    next point below: {}\n    next point above: {}\n", next.below(steps), next.above(steps));
  if (price.less) fmt::print("    over 5 % less: {} ({})\n", apart.step(*price.less), price.less->answer.log.status);
  else fmt::print("    over 5 % less: no plan is known that fits in 5 % less than {}\n", price.here.needs);
  if (price.more) {
    fmt::print("    over 5 % more: {} ({})\n", apart.step(*price.more), price.more->answer.log.status);
    if (price.unlimited.plan)
      fmt::print("    without limit: {} a step in {} ({})\n", apart.extra(price.unlimited), price.unlimited.memory(),
                 price.unlimited.log.status);
  }
}

nlohmann::json to_json(const BesidePlan& beside, const MemoryPrice& price, const FrontSteps& steps) {
  nlohmann::json json = points_json(beside, steps.below.point, steps.above.point);
  json["less_s_per_gib"] = steps.below.point && steps.below.is_proven ? slope_json(*steps.below.point, steps.here) : nullptr;
  json["more_s_per_gib"] = steps.above.point && steps.above.is_proven ? slope_json(steps.here, *steps.above.point) : nullptr;
  json["here"] = point_json(beside, steps.here);
  json["here_is_proven"] = steps.is_point;
  json["less_is_proven"] = steps.below.is_proven;
  json["more_is_proven"] = steps.above.is_proven;
  json["nothing_faster_in_bytes"] =
      steps.nothing_faster_in > Bytes{0} ? nlohmann::json(steps.nothing_faster_in.value) : nlohmann::json();
  json["solves"] = steps.solved;
  nlohmann::json& apart = json["over_5_percent"] = points_json(beside, price.less, price.more);
  apart["less_s_per_gib"] = price.less ? slope_json(*price.less, price.here) : nullptr;
  apart["more_s_per_gib"] = price.more ? slope_json(price.here, *price.more) : nullptr;
  apart["more_is_next"] = price.more_is_next;
  json["unlimited"] = beside.json(price.unlimited);
  return json;
}

}  // namespace trellis::host
