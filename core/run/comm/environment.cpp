#include "run/comm/environment.h"

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "run/comm/cuda_room.h"
#include "run/comm/gloo.h"
#include "run/comm/stores.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

int required_number(const char* name, const char* because) {
  if (const auto number = environment_number(name)) return *number;
  throw Error(ExitCode::usage, fmt::format("{} is not set, but {} is", name, because),
              "a launcher sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; without any of them one rank runs alone");
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

void check_rank(int rank, int size) {
  if (size < 1 || rank >= size) fail(ExitCode::usage, "RANK {} and WORLD_SIZE {} do not fit together", rank, size);
}

// GLOO_SOCKET_IFNAME is c10d's own variable for the same thing.
std::string choose_interface(const CommOptions& options, const std::string& master) {
  if (const char* name = std::getenv("GLOO_SOCKET_IFNAME")) return name;
  if (options.interface == "lo" && !is_loopback(master))
    throw Error(
        ExitCode::usage,
        fmt::format("MASTER_ADDR is {}, but Gloo's interface is 'lo', which other machines do not reach", master),
        "set GLOO_SOCKET_IFNAME to the interface between the machines, for example eth0");
  return options.interface;
}

std::unique_ptr<CommWorld> connect(StorePtr store, int rank, int size, const CommOptions& options) {
  if (options.transport == Transport::nccl) return cuda_room().connect(std::move(store), rank, size, options);
  return gloo_world(std::move(store), rank, size, options);
}

std::unique_ptr<CommWorld> connect_over_tcp(int rank, int size, CommOptions options) {
  const char* master = std::getenv("MASTER_ADDR");
  if (!master)
    throw Error(ExitCode::usage, "WORLD_SIZE is set, but neither MASTER_ADDR nor TRELLIS_STORE is",
                "let `trellis train --nproc N` start the ranks, or a launcher like torchrun");
  const int port = required_number("MASTER_PORT", "MASTER_ADDR");
  if (port < 1 || port > 65535) fail(ExitCode::usage, "MASTER_PORT {} is no port: expected 1-65535", port);
  if (options.transport == Transport::gloo) options.interface = choose_interface(options, master);
  // torchrun's agent may serve the store itself.
  const char* agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  const bool serve = rank == 0 && !(agent && std::strcmp(agent, "True") == 0);
  return connect(tcp_store({master, port, serve}, size, options.timeout_seconds), rank, size, options);
}

}  // namespace

std::optional<int> environment_number(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return std::nullopt;
  int number = -1;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end || number < 0)
    fail(ExitCode::usage, "{}={} is not a number of at least 0", name, text);
  return number;
}

std::unique_ptr<CommWorld> connect_from_environment(const CommOptions& options) {
  const auto size = environment_number("WORLD_SIZE");
  if (!size && !std::getenv("RANK")) return single_rank();
  if (!size) required_number("WORLD_SIZE", "RANK");
  const int rank = required_number("RANK", "WORLD_SIZE");
  check_rank(rank, *size);
  if (const char* path = std::getenv("TRELLIS_STORE")) return connect_file_store(path, rank, *size, options);
  if (*size == 1) return single_rank();
  return connect_over_tcp(rank, *size, options);
}

std::unique_ptr<CommWorld> connect_file_store(const std::string& path, int rank, int size, const CommOptions& options) {
  check_rank(rank, size);
  if (size == 1) return single_rank();
  return connect(file_store(path, size), rank, size, options);
}

}  // namespace trellis
