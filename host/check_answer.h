// A search plugin is not trusted: neither with the space and the budget, nor with what it proves.
#pragma once

#include <optional>
#include <string>

#include "trellis/plan/search.h"

namespace trellis::host {

// With several batches a bound is one of seconds a sample.
bool is_by_sample(const Problem&);

// What keeps its plan from being an answer, or the cost.
std::string refusal(const Problem&, const CostOracle&, const Plan&, PlanCost& cost);

// What keeps its claim from being true. `reached`: as log.lower_bound counts; nothing where it found no plan.
std::string false_claim(const SearchLog&, const std::optional<double>& reached);

// Throws the error of a plugin.
[[noreturn]] void refuse_answer(const std::string& name, const std::string& what);

}  // namespace trellis::host
