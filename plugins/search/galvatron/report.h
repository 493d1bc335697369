// Solutions for people, for machines, as Trellis plans and as the reference's plan files.
#pragma once

#include <string>

#include "answer.h"
#include "trellis/plan/plan_file.h"

namespace trellis::galvatron {

std::string sequence_text(const std::vector<Layout>&);  // "20 x 1-1-8f-c, 12 x 1-1-8f"
Plan to_plan(const Solution&, const Settings&);         // with embedding and head: layers + 2
std::string to_document(const Solution&, const Settings&);
Strategy strategy_of(const Layout&, bool megatron_sp);

}  // namespace trellis::galvatron
