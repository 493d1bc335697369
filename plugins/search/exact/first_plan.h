// A plan to begin with, soon and not far from good ones.
#pragma once

#include <vector>

#include "task.h"

namespace trellis::exact_search {

// Under this cut: in every stage one option for all layers of a kind, those with which it fits and adds the least to the
// step if it is the slowest. Neighboring stages are not looked at, so that it may not fit after all.
Choice first_plan(const Task&, const std::vector<int>& ends);

}  // namespace trellis::exact_search
