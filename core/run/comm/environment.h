// The variables by which a launcher (our own, torchrun, srun through a wrapper) tells a process which rank it is.
#pragma once

#include <optional>

#include "trellis/plan/export.h"

namespace trellis {

// A variable that holds a number of at least 0; nothing where it is not set. Throws Error (usage) for other text.
TRELLIS_API std::optional<int> environment_number(const char* name);

}  // namespace trellis
