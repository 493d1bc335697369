#include "run/comm/stores.h"

#include <c10/util/Exception.h>

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <filesystem>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

class ThreadStore final : public c10d::HashStore {
 public:
  using HashStore::wait;

  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override {
    std::unique_lock lock(m_);
    const bool woken = cv_.wait_for(lock, timeout, [&] { return !reason_.empty() || checkLocked(lock, keys); });
    if (!reason_.empty()) throw std::runtime_error(reason_);
    if (!woken) throw std::runtime_error(fmt::format("no peer within {} s", timeout.count() / 1000));
  }

  std::vector<std::uint8_t> get(const std::string& key) override {
    wait({key}, timeout_);
    return HashStore::get(key);
  }

  std::vector<std::vector<std::uint8_t>> multiGet(const std::vector<std::string>& keys) override {
    wait(keys, timeout_);
    return HashStore::multiGet(keys);
  }

  void abort(const std::string& reason) {
    const std::lock_guard lock(m_);
    reason_ = reason;
    cv_.notify_all();
  }

 private:
  std::string reason_;
};

}  // namespace

StorePtr thread_store() { return c10::make_intrusive<ThreadStore>(); }

void abort_thread_store(c10d::Store& store, const std::string& reason) {
  dynamic_cast<ThreadStore&>(store).abort(reason);
}

StorePtr file_store(const std::string& path, int size) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (!std::filesystem::is_directory(folder))
    fail(ExitCode::io, "the file store '{}' cannot be made: there is no folder '{}'", path, folder.string());
  try {
    return c10::make_intrusive<c10d::FileStore>(path, size);
  } catch (const std::exception& e) {
    fail(ExitCode::io, "the file store '{}' cannot be used: {}", path, brief(e));
  }
}

StorePtr tcp_store(const TcpStoreAddress& address, int size, int timeout_seconds) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(address.port);
  options.isServer = address.serve;
  options.numWorkers = static_cast<std::size_t>(size);
  options.waitWorkers = false;  // creating the first group waits for all
  options.timeout = std::chrono::seconds(timeout_seconds);
  try {
    return c10::make_intrusive<c10d::PrefixStore>("trellis",
                                                  c10::make_intrusive<c10d::TCPStore>(address.host, options));
  } catch (const std::exception& e) {
    throw Error(ExitCode::rank_failed,
                fmt::format("{} {}:{} (MASTER_ADDR, MASTER_PORT) failed: {}",
                            address.serve ? "listening as rank 0 on" : "reaching rank 0 at", address.host, address.port,
                            brief(e)),
                address.serve ? "is the port free, and MASTER_ADDR this machine?" : "is rank 0 running?");
  }
}

void leave_store(c10d::Store& store, int rank, int size) {
  const auto key = [](int r) { return fmt::format("left/{}", r); };
  try {
    store.set(key(rank), std::vector<std::uint8_t>{1});
    if (rank != 0) return;
    std::vector<std::string> keys;
    for (int r = 0; r < size; ++r) keys.push_back(key(r));
    store.wait(keys, store.getTimeout());
  } catch (const std::exception& e) {
    fail(ExitCode::rank_failed, "shutdown: not all ranks have left: {}", brief(e));
  }
}

std::string brief(const std::exception& error) {
  const auto* traced = dynamic_cast<const c10::Error*>(&error);
  std::string text = traced ? traced->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace trellis
