// Starts the ranks of a run as processes of this machine, and ends all of them when one fails.
//
// Linux only. Without LibTorch, which must not be loaded where processes are started.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace trellis::host {

struct LaunchOptions {
  std::chrono::milliseconds patience{5000};  // between SIGTERM and SIGKILL
  // After the first failure the others have this long to fail by themselves: the rank that lost its peer may be seen
  // to end before that peer.
  std::chrono::milliseconds grace{300};
};

struct LaunchResult {
  int exit_code = 0;  // 0, that of the rank to blame, ExitCode::rank_failed if a signal killed it, or 128 + the signal
                      // that the launcher was told to end by
  int rank = -1;      // the one to blame
  std::string message;  // "rank 2 ended with exit code 4", with what it had written last to stderr
};

// Runs `argv` (argv[0] is the file to execute) `ranks` times with RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE,
// TRELLIS_STORE, TRELLIS_LAUNCHED and, unless it is set, OMP_NUM_THREADS. Rank 0 writes to this process's stdout and
// stderr; of the others the last of their stderr is kept for the message. stdin is empty.
// SIGINT and SIGTERM of this process are passed on. When it returns or throws, no rank is left.
// Throws Error (usage, io) if the ranks cannot be started. Call from the main thread, one at a time.
LaunchResult launch(const std::vector<std::string>& argv, int ranks, const LaunchOptions& options = {});

// launch(), with the message on stderr; returns the exit code.
int launch_local(const std::vector<std::string>& argv, int ranks, const LaunchOptions& options = {});

// For the first lines of main(): a process that was started by launch() ends when its launcher does, however that
// ended. Nothing happens in other processes.
void end_with_launcher();

// Whether this process is a rank that launch() or another launcher (torchrun, srun) has started.
bool is_rank();

}  // namespace trellis::host
