// Which rules a plugin breaks.
#pragma once

#include <string>
#include <vector>

#include "plan/plugin/conformance/conformance.h"

namespace trellis::testing {

template <class... Arguments>
std::vector<std::string> broken_rules(const Arguments&... arguments) {
  conformance::Examination exam;
  conformance::examine(arguments..., exam);
  std::vector<std::string> rules;
  for (const conformance::Finding& finding : exam.findings())
    if (!finding.broken.empty()) rules.push_back(finding.rule);
  return rules;
}

using Rules = std::vector<std::string>;

}  // namespace trellis::testing
