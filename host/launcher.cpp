#include "host/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#include "trellis/plan/error.h"

extern char** environ;

namespace trellis::host {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kLaunchedBy = "TRELLIS_LAUNCHED";  // the launcher's process id
constexpr std::size_t kKeptOutput = 8192;                // bytes of a rank's stderr

[[noreturn]] void fail_with_errno(const std::string& what, int error = errno) {
  fail(ExitCode::io, "{}: {}", what, std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// The signals that a launch waits for, blocked and readable as long as it lives.
class Signals {
 public:
  Signals() {
    sigemptyset(&handled_);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&handled_, signal);
    sigprocmask(SIG_BLOCK, &handled_, &before_);
    fd_ = Descriptor(signalfd(-1, &handled_, SFD_NONBLOCK | SFD_CLOEXEC));
    if (fd_.get() < 0) fail_with_errno("signalfd");
  }
  ~Signals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_.get(); }
  const sigset_t& handled() const { return handled_; }
  const sigset_t& before() const { return before_; }

  // SIGINT or SIGTERM if one of them came, else 0.
  int take() {
    int told = 0;
    signalfd_siginfo info;
    while (read(fd_.get(), &info, sizeof(info)) == sizeof(info))
      if (info.ssi_signo != SIGCHLD) told = static_cast<int>(info.ssi_signo);
    return told;
  }

 private:
  sigset_t handled_, before_;
  Descriptor fd_;
};

// A folder for the file through which the ranks find each other.
class StoreFolder {
 public:
  StoreFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trellis-XXXXXX").string();
    if (!mkdtemp(pattern.data())) fail_with_errno("cannot make a folder " + pattern);
    path_ = pattern;
  }
  ~StoreFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  StoreFolder(const StoreFolder&) = delete;
  StoreFolder& operator=(const StoreFolder&) = delete;
  std::string store() const { return (path_ / "store").string(); }

 private:
  std::filesystem::path path_;
};

struct Rank {
  int number = 0;
  pid_t pid = -1;  // also of its process group
  bool running = false;
  bool told_to_end = false;  // by us; what it then ends with is not its fault
  int status = 0;            // of waitpid
  Descriptor errors;         // its stderr, but for rank 0
  std::string output;

  bool failed() const { return !running && !told_to_end && status != 0; }
  int exit_code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(ExitCode::rank_failed); }
};

std::vector<std::string> environment_of(int rank, int ranks, const std::string& store) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (const auto equals = text.find('='); equals != std::string::npos)
      variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  cpu_set_t cores;
  const int usable = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
  variables.emplace("OMP_NUM_THREADS", std::to_string(std::max(1, usable / ranks)));  // unless it is there
  variables["RANK"] = variables["LOCAL_RANK"] = std::to_string(rank);
  variables["WORLD_SIZE"] = variables["LOCAL_WORLD_SIZE"] = std::to_string(ranks);
  variables["TRELLIS_STORE"] = store;
  variables[kLaunchedBy] = std::to_string(getpid());
  std::vector<std::string> result;
  for (const auto& [name, value] : variables) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

struct SpawnSettings {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnSettings() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

// In a process group of its own: signals reach what it starts, too, and a terminal's Ctrl-C reaches it once.
Rank start(int number, int ranks, const std::vector<std::string>& argv, const std::string& store,
           const Signals& signals) {
  Rank rank;
  rank.number = number;
  SpawnSettings spawn;
  posix_spawnattr_setpgroup(&spawn.attributes, 0);
  posix_spawnattr_setsigmask(&spawn.attributes, &signals.before());
  posix_spawnattr_setsigdefault(&spawn.attributes, &signals.handled());
  posix_spawnattr_setflags(&spawn.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_addopen(&spawn.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  Descriptor theirs;
  if (number != 0) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail_with_errno("pipe");
    rank.errors = Descriptor(ends[0]);
    theirs = Descriptor(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_addopen(&spawn.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&spawn.files, ends[1], STDERR_FILENO);
  }
  const auto environment = environment_of(number, ranks, store);
  const int error = posix_spawn(&rank.pid, argv[0].c_str(), &spawn.files, &spawn.attributes, pointers(argv).data(),
                                pointers(environment).data());
  if (error != 0) fail_with_errno("cannot start " + argv[0], error);
  rank.running = true;
  return rank;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? fmt::format("signal {} (SIG{})", signal, name) : fmt::format("signal {}", signal);
}

// Owns the processes: whatever happens, none is left when it ends.
class Ranks {
 public:
  Ranks(const std::vector<std::string>& argv, int count, const std::string& store, Signals& signals,
        const LaunchOptions& options)
      : signals_(signals), options_(options) {
    try {
      for (int r = 0; r < count; ++r) ranks_.push_back(start(r, count, argv, store, signals));
    } catch (...) {
      kill_all();
      throw;
    }
  }
  ~Ranks() { kill_all(); }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  LaunchResult watch() {
    int told = 0;
    while (any_running()) {
      wait_for_news();
      if (const int signal = signals_.take(); signal != 0 && told == 0) tell_all(told = signal);
      reap();
      const auto now = Clock::now();
      if (first_failure_ == Clock::time_point::max() && any_failed()) first_failure_ = now;
      if (now - options_.grace >= first_failure_ && told_at_ == Clock::time_point::max()) tell_all(SIGTERM);
      if (now - options_.patience >= told_at_) kill_all();
    }
    for (Rank& rank : ranks_) read_errors(rank);
    if (told != 0) return {128 + told, -1, fmt::format("ended by {}", signal_name(told))};
    const Rank* blamed = to_blame();
    return blamed ? describe(*blamed) : LaunchResult{};
  }

 private:
  bool any_running() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.running; });
  }
  bool any_failed() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.failed(); });
  }

  // Signals and output wake it; limits of time are looked at a few times a second.
  void wait_for_news() {
    std::vector<pollfd> polled{{signals_.fd(), POLLIN, 0}};
    for (const Rank& rank : ranks_)
      if (rank.errors.get() >= 0) polled.push_back({rank.errors.get(), POLLIN, 0});
    poll(polled.data(), polled.size(), 100);
    for (Rank& rank : ranks_) read_errors(rank);
  }

  static void read_errors(Rank& rank) {
    char buffer[4096];
    while (rank.errors.get() >= 0) {
      const ssize_t n = read(rank.errors.get(), buffer, sizeof(buffer));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      if (n == 0) return rank.errors.close();
      rank.output.append(buffer, static_cast<std::size_t>(n));
      if (rank.output.size() > 2 * kKeptOutput) rank.output.erase(0, rank.output.size() - kKeptOutput);
    }
  }

  void reap() {
    for (Rank& rank : ranks_)
      if (rank.running && waitpid(rank.pid, &rank.status, WNOHANG) == rank.pid) {
        rank.running = false;
        failures_.push_back(&rank);
      }
  }

  void tell_all(int signal) {
    told_at_ = Clock::now();
    for (Rank& rank : ranks_)
      if (rank.running) {
        rank.told_to_end = true;
        kill(-rank.pid, signal);
      }
  }

  void kill_all() {
    for (Rank& rank : ranks_)
      if (rank.running) {
        rank.told_to_end = true;
        kill(-rank.pid, SIGKILL);
        while (waitpid(rank.pid, &rank.status, 0) < 0 && errno == EINTR) {
        }
        rank.running = false;
      }
  }

  // The first that failed, but rather one that did not merely lose a peer; and of those, rank 0, which has told why.
  const Rank* to_blame() const {
    const auto is_cause = [](const Rank& rank) {
      return rank.failed() && !(WIFEXITED(rank.status) && rank.exit_code() == static_cast<int>(ExitCode::rank_failed));
    };
    if (is_cause(ranks_[0])) return &ranks_[0];
    for (const Rank* rank : failures_)
      if (is_cause(*rank)) return rank;
    for (const Rank* rank : failures_)
      if (rank->failed()) return rank;
    return nullptr;
  }

  static LaunchResult describe(const Rank& rank) {
    std::string message = WIFSIGNALED(rank.status)
                              ? fmt::format("rank {} was killed by {}", rank.number, signal_name(WTERMSIG(rank.status)))
                              : fmt::format("rank {} ended with exit code {}", rank.number, rank.exit_code());
    if (WIFSIGNALED(rank.status) && WTERMSIG(rank.status) == SIGKILL)
      message += "\n    perhaps by the system, for want of memory: see its log";
    if (!rank.output.empty()) {
      const std::size_t skipped = rank.output.size() > kKeptOutput ? rank.output.size() - kKeptOutput : 0;
      message += ":\n" + rank.output.substr(skipped);
      while (message.back() == '\n') message.pop_back();
    }
    return {rank.exit_code(), rank.number, message};
  }

  Signals& signals_;
  LaunchOptions options_;
  std::vector<Rank> ranks_;
  std::vector<const Rank*> failures_;  // those that ended, in order
  Clock::time_point first_failure_ = Clock::time_point::max();
  Clock::time_point told_at_ = Clock::time_point::max();
};

}  // namespace

LaunchResult launch(const std::vector<std::string>& argv, int ranks, const LaunchOptions& options) {
  if (argv.empty() || ranks < 1) fail(ExitCode::usage, "expected a command and at least 1 rank, not {}", ranks);
  const StoreFolder folder;
  Signals signals;
  return Ranks(argv, ranks, folder.store(), signals, options).watch();
}

int launch_local(const std::vector<std::string>& argv, int ranks, const LaunchOptions& options) {
  const LaunchResult result = launch(argv, ranks, options);
  if (!result.message.empty()) fmt::print(stderr, "trellis: {}\n", result.message);
  return result.exit_code;
}

void end_with_launcher() {
  const char* launcher = std::getenv(kLaunchedBy);
  if (!launcher) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before the line above.
  if (std::to_string(getppid()) != launcher) _exit(static_cast<int>(ExitCode::rank_failed));
}

bool is_rank() { return std::getenv("RANK") != nullptr; }

}  // namespace trellis::host
