// The one exception of Trellis. Whatever a user can cause (a file, an option, a plan, a machine) ends in an Error that
// says what was expected, what was found and the likely fix; it is caught once, in the host, and becomes an exit code.
#pragma once

#include <fmt/format.h>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "trellis/plan/export.h"

namespace trellis {

// A place in a file, both counted from 1; line 0: the file as a whole. `file` may be a description ("command line").
struct Mark {
  std::string file;
  int line = 0;
  int column = 0;
  bool operator==(const Mark&) const = default;
};

// "file:line:column", or less where less is known.
TRELLIS_API std::string format(const Mark& mark);

enum class ExitCode : int {
  success = 0,
  failure = 1,      // a defect of Trellis, or nothing more precise
  usage = 2,        // the command line
  infeasible = 3,   // no plan fits
  bad_input = 4,    // a file, an option, a plan
  plugin = 5,       // a plugin is missing, refused or broken
  rank_failed = 6,  // a rank of a run died or hung
  io = 7,           // reading or writing failed
  unsupported = 8,  // right, but not with this build, model or device
};

class TRELLIS_API Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string message, std::string hint = {}, Mark mark = {});
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  ~Error() override;  // out of line: the type is one and the same in every library, so it can be caught across them

  ExitCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }  // may be empty
  const Mark& mark() const { return mark_; }         // file is empty where no file is to blame

  // what() is "file:line:column: message\n    hint".

 private:
  ExitCode code_;
  std::string message_;
  std::string hint_;
  Mark mark_;
};

template <class... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(code, fmt::format(text, std::forward<Args>(args)...));
}

// Bad input, the usual case.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(ExitCode::bad_input, fmt::format(text, std::forward<Args>(args)...));
}

// Bad input at a known place.
template <class... Args>
[[noreturn]] void fail(const Mark& mark, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(ExitCode::bad_input, fmt::format(text, std::forward<Args>(args)...), {}, mark);
}

// The candidate nearest to `wrong` by edit distance (letter case is free), or empty when none is near enough to be
// meant.
TRELLIS_API std::string suggest(std::string_view wrong, std::span<const std::string> candidates);

// "did you mean 'degree'?" when a candidate is near, else "<label>: a, b, c"; empty without candidates.
TRELLIS_API std::string suggestion_hint(std::string_view wrong, std::span<const std::string> candidates,
                                        std::string_view label);

}  // namespace trellis
