#include "plan/plugin/calls.h"

namespace trellis::plugin {
namespace {

// Of the static block, which a signal handler may read: other thread-local storage may be allocated on first use.
__attribute__((tls_model("initial-exec"))) thread_local Running current;

}  // namespace

Running running() noexcept { return current; }

RunningNote::RunningNote(Running next) noexcept : before_(std::exchange(current, next)) {}
RunningNote::~RunningNote() { current = before_; }

std::string defect_hint(const std::string& name) {
  return fmt::format("a defect of the plugin; trellis plugins check {} (or its folder) tries the rules of its kind", name);
}

void blame(PluginType type, const std::string& name, const std::string& what) {
  throw Error(ExitCode::plugin, fmt::format("{} '{}' threw: {}", noun_of(type), name, what),
              defect_hint(name));
}

}  // namespace trellis::plugin
