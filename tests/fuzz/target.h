// What a fuzzed reader shares: input as a file, and what may come of it. A target is one file TARGET.cpp with
// LLVMFuzzerTestOneInput; under Clang with TRELLIS_FUZZ it is a libFuzzer program, else driver.cpp runs it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "trellis/plan/error.h"

namespace trellis::fuzz {

// A folder in memory, one a process.
inline const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    const char* root = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    std::string name = std::string(root) + "/trellis-fuzz-XXXXXX";
    if (!::mkdtemp(name.data())) std::abort();
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(folder(), ignored);
    });
    return std::filesystem::path(name);
  }();
  return path;
}

std::filesystem::path write(const std::string& name, std::string_view bytes);

// Anything but an Error that is the user's is a finding.
template <class Act>
void expect_error_or_nothing(Act act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.code() == ExitCode::failure) std::abort();
  }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace trellis::fuzz
