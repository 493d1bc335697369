#include "host/child.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "trellis/plan/error.h"

namespace trellis::host {

int run_child(const std::vector<std::string>& arguments, const std::function<void(pid_t)>& started) {
  std::vector<std::string> words = {"trellis"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  std::fflush(nullptr);
  pid_t child = 0;
  if (const int reason = posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ); reason != 0)
    fail(ExitCode::failure, "no child process can be started: {}", std::strerror(reason));
  if (started) started(child);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail(ExitCode::failure, "the child process was lost: {}", std::strerror(errno));
  return status;
}

}  // namespace trellis::host
