// Answers beside a plan, in words and figures.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/asking.h"

namespace trellis::host {

// Three digits at the least, and no power of ten.
std::string in_digits(double);
// "+2.63", "-0.0025", "0": two digits behind the point, or two at the least.
std::string signed_digits(double percent);
// In GiB or MiB, with a digit more where two would look the same.
std::string digits_apart(Bytes, Bytes other);
std::string memory_difference(Bytes, Bytes other);  // "+1.50 GiB" to the other

class BesidePlan {
 public:
  // `best`: of the whole space; its bound holds for every answer.
  BesidePlan(const Planning& p, const Plan& plan, const PlanCost& cost, const Answer& best)
      : p_(p), plan_(plan), cost_(cost), best_(best) {}

  // How much longer a step of the plan's batch would take.
  double extra_seconds(const Answer&) const;
  std::string exact_difference(double extra) const;  // "+1.20 ms, +0.31 %"
  // Of the best answer that the question has, where only bounds of it are known: from the least that it can be.
  std::string difference(const Answer&) const;
  nlohmann::json json(const Answer&) const;

 private:
  double percent(double extra) const { return 100 * extra / to_seconds(cost_.step); }
  std::optional<double> least_extra(const Answer&) const;

  const Planning& p_;
  const Plan& plan_;
  const PlanCost& cost_;
  const Answer& best_;
};

}  // namespace trellis::host
