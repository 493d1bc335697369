#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "host/launcher.h"
#include "support/paths.h"

using namespace trellis::host;

namespace {

std::string program() { return (trellis::testing::build_dir() / "bin/trellis_test_comm_rank").string(); }

// Free now, and hardly taken in the next second.
int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return ntohs(address.sin_port);
}

LaunchResult as_other_launchers_do(const std::string& variables, int ranks) {
  return launch({"/bin/sh", "-c", "unset TRELLIS_STORE; export " + variables + "; exec " + program()}, ranks);
}

}  // namespace

TEST_CASE("four processes sum over the file store of a local launch") {
  const LaunchResult result = launch({program(), "sum"}, 4);
  CHECK(result.message == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("four processes sum over MASTER_ADDR and MASTER_PORT") {
  const LaunchResult result =
      as_other_launchers_do("MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(free_port()), 4);
  CHECK(result.message == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("a process that dies is noticed by its peers, and blamed") {
  const auto start = std::chrono::steady_clock::now();
  const LaunchResult result = launch({program(), "die"}, 4);
  CHECK(result.message == "rank 1 ended with exit code 9");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

// NCCL refuses two ranks on one GPU of one host, so each rank calls its host by another name.
TEST_CASE("four processes sum and exchange over NCCL, where there is a GPU") {
  const LaunchResult result = launch(
      {"/bin/sh", "-c", "export NCCL_HOSTID=r$RANK NCCL_IB_DISABLE=1 NCCL_NVLS_ENABLE=0; exec " + program() + " nccl"},
      4);
  if (result.exit_code == 8) {
    MESSAGE("skipped: ", result.message);
    return;
  }
  CHECK(result.message == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("an environment that does not describe a rank is refused") {
  CHECK(as_other_launchers_do("MASTER_ADDR=127.0.0.1 MASTER_PORT=http", 2).exit_code == 2);
  CHECK(as_other_launchers_do("MASTER_ADDR=", 2).exit_code == 2);
  const LaunchResult other = as_other_launchers_do("MASTER_ADDR=10.0.0.1 MASTER_PORT=29500", 2);
  CHECK(other.exit_code == 2);
  const LaunchResult late =
      launch({"/bin/sh", "-c", "[ $RANK = 0 ] && sleep 20; unset TRELLIS_STORE; exec " + program()}, 2);
  CHECK(late.message.find("WORLD_SIZE is set, but neither MASTER_ADDR nor TRELLIS_STORE is") != std::string::npos);
}
