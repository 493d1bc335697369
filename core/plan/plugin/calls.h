// Calls into plugins: what they throw is theirs, and so is a crash while they run.
#pragma once

#include <string>
#include <utility>

#include "trellis/plan/catalog.h"
#include "trellis/plan/error.h"
#include "trellis/plan/export.h"

namespace trellis::plugin {

// Whose code a thread is in. `name` must outlive it; calls may be nested.
struct Running {
  const char* noun = nullptr;  // "search"; nullptr: nobody's
  const char* name = nullptr;
};
// Of the calling thread. Async-signal-safe.
TRELLIS_API Running running() noexcept;

class TRELLIS_API RunningNote {
 public:
  explicit RunningNote(Running) noexcept;
  ~RunningNote();
  RunningNote(const RunningNote&) = delete;
  RunningNote& operator=(const RunningNote&) = delete;

 private:
  Running before_;
};

// What to do about a plugin that broke a rule.
TRELLIS_API std::string defect_hint(const std::string& name);

// Throws Error (plugin): "search 'anneal' threw: ..."
[[noreturn]] TRELLIS_API void blame(PluginType, const std::string& name, const std::string& what);

// What `call` returns. An Error passes: it is how a plugin refuses what the user wrote.
template <class Call>
auto call(PluginType type, const std::string& name, Call&& call) {
  const RunningNote note({noun_of(type).data(), name.c_str()});
  try {
    return std::forward<Call>(call)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    blame(type, name, error.what());
  } catch (...) {
    blame(type, name, "something that is not a std::exception");
  }
}

}  // namespace trellis::plugin
