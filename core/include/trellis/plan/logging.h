// One logger named "trellis", to stderr: stdout belongs to results.
#pragma once

#include <spdlog/logger.h>

#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

// Thread-safe. log().info("{} candidates", n)
TRELLIS_API spdlog::logger& log();

// trace, debug, info, warn, error, off. Throws Error (usage) for another name.
TRELLIS_API void set_log_level(std::string_view level);

}  // namespace trellis
