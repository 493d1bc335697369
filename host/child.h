// This program once more, as a child process with other arguments.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace trellis::host {

// Runs this executable with these arguments (without its own name) and waits. Returns waitpid's status. Output goes
// where this process's goes. Throws Error (failure) where no process can be started.
int run_child(const std::vector<std::string>& arguments, const std::function<void(pid_t)>& started = {});

}  // namespace trellis::host
