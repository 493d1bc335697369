// Which options plans may have.
#pragma once

#include <optional>
#include <vector>

#include "bound.h"
#include "task.h"

namespace trellis::exact_search {

using MayHave = std::vector<std::vector<bool>>;  // [kind][option]

// What the paths of bounds and a good plan, where there is one, are made of.
MayHave options_of_paths(const Task&, const std::vector<const Bound*>&, const std::optional<Choice>& good);

}  // namespace trellis::exact_search
