// The communicators and collectives that a plan needs, read off its programs.
#pragma once

#include <vector>

#include "trellis/plan/plan_file.h"
#include "trellis/run/comm.h"

namespace trellis {

// Every group of every rank, sorted: what CommWorld::create_groups takes on all ranks alike.
std::vector<std::vector<int>> groups_of(const CompiledPlan&, const OpLibrary&);

// What one rank executes in one train_step.
std::vector<CommRecord> collectives_of(const CompiledPlan&, int stage, int line_rank, const OpLibrary&);

}  // namespace trellis
