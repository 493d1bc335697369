#include "host/launcher.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "support/paths.h"
#include "trellis/plan/error.h"

extern char** environ;

using namespace trellis;
using namespace trellis::host;
using namespace std::chrono_literals;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "launcher-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_; }
  std::string read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(path_ + "/" + name).rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

LaunchResult shell(const std::string& script, int ranks, const LaunchOptions& options = {}) {
  return launch({"/bin/sh", "-c", script}, ranks, options);
}

double seconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool becomes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

bool alive(const std::string& pid) {
  std::string state;
  std::ifstream status("/proc/" + pid.substr(0, pid.find('\n')) + "/stat");
  status >> state >> state >> state;
  return !state.empty() && state != "Z";
}

}  // namespace

TEST_CASE("every rank is told who it is") {
  const Folder folder;
  unsetenv("OMP_NUM_THREADS");
  const LaunchResult result = shell("echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE ${OMP_NUM_THREADS:-none} > " +
                                        folder.path() + "/$RANK; test -d $(dirname $TRELLIS_STORE)",
                                    3);
  CHECK(result.exit_code == 0);
  CHECK(result.message == "");
  CHECK(folder.read("0").starts_with("0 0 3 3 "));
  CHECK(folder.read("2").starts_with("2 2 3 3 "));
  CHECK(folder.read("2").find("none") == std::string::npos);
  setenv("OMP_NUM_THREADS", "7", 1);
  CHECK(shell("test $OMP_NUM_THREADS = 7", 2).exit_code == 0);
  setenv("OMP_NUM_THREADS", "1", 1);
}

TEST_CASE("the store's folder is gone afterwards") {
  const Folder folder;
  CHECK(shell("touch $TRELLIS_STORE; echo $TRELLIS_STORE > " + folder.path() + "/$RANK", 1).exit_code == 0);
  const std::string store = folder.read("0");
  CHECK(store.ends_with("/store\n"));
  CHECK_FALSE(std::filesystem::exists(std::filesystem::path(store).parent_path()));
}

TEST_CASE("when a rank fails, the others are ended, and its exit code and last words are the launcher's") {
  LaunchResult result;
  CHECK(seconds([&] { result = shell("if [ $RANK = 2 ]; then echo the plan is wrong >&2; exit 4; fi; sleep 30", 4); }) <
        5);
  CHECK(result.exit_code == 4);
  CHECK(result.rank == 2);
  CHECK(result.message == "rank 2 ended with exit code 4:\nthe plan is wrong");
}

TEST_CASE("a rank that lost its peer is not the one to blame") {
  const LaunchResult result =
      shell("if [ $RANK = 1 ]; then exit 6; fi; if [ $RANK = 2 ]; then sleep 0.1; exit 3; fi; sleep 30", 3);
  CHECK(result.message == "rank 2 ended with exit code 3");
  CHECK(result.exit_code == 3);
  CHECK(shell("if [ $RANK = 1 ]; then exit 6; fi; sleep 30", 2).message == "rank 1 ended with exit code 6");
}

TEST_CASE("a signal that kills a rank is named") {
  const LaunchResult result = shell("if [ $RANK = 1 ]; then kill -9 $$; fi; sleep 30", 2);
  CHECK(result.exit_code == 6);
  CHECK(result.message.starts_with("rank 1 was killed by signal 9 (SIGKILL)"));
  CHECK(shell("kill -SEGV $$", 1).message == "rank 0 was killed by signal 11 (SIGSEGV)");
}

TEST_CASE("a rank that ignores SIGTERM is killed when patience ends, with what it has started") {
  const Folder folder;
  LaunchOptions options;
  options.patience = 300ms;
  const double time = seconds([&] {
    const LaunchResult result =
        shell("trap '' TERM; if [ $RANK = 1 ]; then sleep 0.2; exit 5; fi; sleep 30 & echo $! > " + folder.path() +
                  "/child; wait; sleep 30",
              2, options);
    CHECK(result.exit_code == 5);
  });
  CHECK(time > 0.5);
  CHECK(time < 5);
  CHECK(becomes_true([&] { return !alive(folder.read("child")); }));
}

TEST_CASE("only the end of a long stderr is kept") {
  const LaunchResult result = shell(
      "if [ $RANK = 1 ]; then i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1; fi; sleep 30",
      2);
  CHECK(result.message.size() < 9000);
  CHECK(result.message.ends_with("line 19999"));
}

TEST_CASE("what cannot be started is an error, and nothing is left behind") {
  CHECK_THROWS_WITH_AS(launch({"/nowhere/trellis"}, 2), "cannot start /nowhere/trellis: No such file or directory",
                       Error);
  CHECK_THROWS_AS(launch({"/bin/true"}, 0), Error);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("ranks end with their launcher, whether it is asked to end or killed") {
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    const Folder folder;
    std::string program = (testing::build_dir() / "bin/trellis_test_rank").string(), verb = "launch",
                path = folder.path();
    char* argv[] = {program.data(), verb.data(), path.data(), nullptr};
    pid_t pid = -1;
    REQUIRE(posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ) == 0);
    REQUIRE(becomes_true([&] { return folder.read("0").ends_with("\n") && folder.read("1").ends_with("\n"); }));
    CHECK(alive(folder.read("1")));
    kill(pid, signal);
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    if (signal != SIGKILL) CHECK(WEXITSTATUS(status) == 128 + signal);
    CHECK(becomes_true([&] { return !alive(folder.read("0")) && !alive(folder.read("1")); }));
  }
}
