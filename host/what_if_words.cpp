#include "host/what_if_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace trellis::host {

std::string in_digits(double value) {
  return std::abs(value) >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string signed_digits(double percent) {
  if (std::abs(percent) < 1e-9) return "0";
  return std::abs(percent) < 0.01 ? fmt::format("{:+.2g}", percent) : fmt::format("{:+.2f}", percent);
}

std::string digits_apart(Bytes bytes, Bytes other) {
  return bytes != other && fmt::format("{}", bytes) == fmt::format("{}", other)
             ? fmt::format("{:.3f} MiB", static_cast<double>(bytes.value) / (1 << 20))
             : fmt::format("{}", bytes);
}

std::string memory_difference(Bytes bytes, Bytes other) {
  return bytes < other ? fmt::format("-{}", other - bytes) : fmt::format("+{}", bytes - other);
}

double BesidePlan::extra_seconds(const Answer& other) const {
  const double more = other.score().seconds_per_sample() - score(plan_, cost_).seconds_per_sample();
  return more * static_cast<double>(plan_.batch);
}

std::string BesidePlan::exact_difference(double extra) const {
  if (extra == 0) return "as fast";
  return fmt::format("{}{}, {} %", extra < 0 ? "-" : "+", format(from_seconds(std::abs(extra))),
                     signed_digits(percent(extra)));
}

std::string BesidePlan::difference(const Answer& other) const {
  const double extra = extra_seconds(other);
  if (other.is_proven()) return exact_difference(extra);
  const std::optional<double> least = least_extra(other);
  if (!least) return fmt::format("at most {} %", signed_digits(percent(extra)));
  const std::string from = signed_digits(percent(*least)), to = signed_digits(percent(extra));
  if (from == to) return to + " %";
  return fmt::format("{} to {} %{}", from, to, *least < 0 && extra >= 0 ? ", not told apart" : "");
}

// By how much the best answer of the question may be faster: by its own bound, and by that of the whole space.
std::optional<double> BesidePlan::least_extra(const Answer& other) const {
  std::optional<double> bound;
  for (const Answer* answer : {&other, &best_}) {
    if (!answer->log.lower_bound || !(answer->reached > 0)) continue;
    // A bound is in the unit of what was reached, which is the score.
    const double scored = answer->score().seconds_per_sample();
    const double least = scored * std::min(1.0, *answer->log.lower_bound / answer->reached);
    if (!bound || least > *bound) bound = least;
  }
  if (!bound) return std::nullopt;
  const double here = score(plan_, cost_).seconds_per_sample();
  return std::min((*bound - here) * static_cast<double>(plan_.batch), extra_seconds(other));
}

nlohmann::json BesidePlan::json(const Answer& other) const {
  nlohmann::json json = to_json(p_, other, {});
  for (const char* of_the_whole : {"plan", "budget_bytes", "estimated", "objective", "notes"}) json.erase(of_the_whole);
  if (!other.plan) return json;
  const double extra = extra_seconds(other);
  json["extra_s"] = extra;
  json["extra_share"] = extra / to_seconds(cost_.step);
  return json;
}

}  // namespace trellis::host
