#include "trellis/plan/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/error.h"

namespace trellis {

spdlog::logger& log() {
  // Not in spdlog's registry: an application that has its own keeps it. Never destroyed, so that it can be used from
  // destructors of static objects.
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger("trellis", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S.%e %^%l%$ %v");
    return made;
  }();
  return logger;
}

void set_log_level(std::string_view level) {
  static const std::vector<std::string> kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  for (const std::string& known : kLevels) {
    if (known != level) continue;
    log().set_level(spdlog::level::from_str(known));
    return;
  }
  throw Error(ExitCode::usage, fmt::format("no log level named '{}'", level),
              suggestion_hint(level, kLevels, "levels"));
}

}  // namespace trellis
