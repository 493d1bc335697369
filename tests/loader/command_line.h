// The program as a user starts it.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "support/paths.h"

namespace trellis::testing {

struct Outcome {
  int code = -1;
  std::string text;  // stdout and stderr
};

// In `folder`, where one is given.
inline Outcome trellis(const std::string& arguments, const std::filesystem::path& folder = ".") {
  const std::string program = (build_dir() / "bin/trellis").string();
  const std::string command = "cd " + folder.string() + " && " + program + " " + arguments + " 2>&1";
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof(buffer), pipe)) outcome.text.append(buffer, n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  return outcome;
}

inline bool has(const Outcome& outcome, const std::string& part) {
  INFO(outcome.text);
  const bool found = outcome.text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace trellis::testing
