// Errors of what a run file names, told at the place that names it.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "trellis/plan/error.h"

namespace trellis::data {

// What `act` returns; its Error as one of `what`, at `mark`.
template <class Act>
auto placed(std::string_view what, const Mark& mark, Act act) {
  try {
    return act();
  } catch (const Error& error) {
    const std::string where = error.mark().file.empty() ? "" : format(error.mark()) + ": ";
    throw Error(error.code(), fmt::format("{}: {}{}", what, where, error.message()), error.hint(), mark);
  }
}

}  // namespace trellis::data
