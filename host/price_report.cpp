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

  std::string below(const FrontSteps& steps) const {
    const FrontNeighbor& below = steps.below;
    if (!below.point)
      return below.is_proven ? fmt::format("nothing fits in less than {}, proven", here_.needs)
                             : fmt::format("no plan is known that fits in less than {}", here_.needs);
    if (below.is_proven) return step(*below.point) + " (proven)";
    return fmt::format("{} (not proven: the best plan in less than {} takes {})", step(*below.point), here_.needs,
                       below.point->answer.is_proven() ? "as long, in at most as much"
                                                       : beside_.difference(below.point->answer));
  }

  std::string above(const FrontSteps& steps) const {
    const FrontNeighbor& above = steps.above;
    if (!above.point) return above.is_proven ? "worth nothing, proven" : "no faster plan was found";
    if (above.is_proven) return step(*above.point) + " (proven)";
    const std::string least = steps.nothing_faster_in > Bytes{0}
                                  ? fmt::format("nothing faster fits in {}; ", digits_apart(steps.nothing_faster_in, above.point->needs))
                                  : "";
    return fmt::format("{} (not proven: {}what is faster needs at most {})", step(*above.point), least,
                       digits_apart(above.point->needs, steps.nothing_faster_in));
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

nlohmann::json both_ways(const BesidePlan& beside, const FrontPoint& here, const std::optional<FrontPoint>& less,
                         const std::optional<FrontPoint>& more) {
  return {{"less", point_json(beside, less)},
          {"more", point_json(beside, more)},
          {"less_s_per_gib", less ? slope_json(*less, here) : nlohmann::json()},
          {"more_s_per_gib", more ? slope_json(here, *more) : nlohmann::json()}};
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
  nlohmann::json json = both_ways(beside, steps.here, steps.below.point, steps.above.point);
  json["here"] = point_json(beside, steps.here);
  json["here_is_proven"] = steps.is_point;
  json["less_is_proven"] = steps.below.is_proven;
  json["more_is_proven"] = steps.above.is_proven;
  json["nothing_faster_in_bytes"] =
      steps.nothing_faster_in > Bytes{0} ? nlohmann::json(steps.nothing_faster_in.value) : nlohmann::json();
  json["solves"] = steps.solved;
  json["over_5_percent"] = both_ways(beside, price.here, price.less, price.more);
  json["over_5_percent"]["more_is_next"] = price.more_is_next;
  json["unlimited"] = beside.json(price.unlimited);
  return json;
}

}  // namespace trellis::host
