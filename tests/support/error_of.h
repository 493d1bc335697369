// What an act throws, as the program would tell it.
#pragma once

#include <string>

#include "trellis/plan/error.h"

namespace trellis::test {

template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace trellis::test
