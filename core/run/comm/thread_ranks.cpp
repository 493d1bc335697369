#include "run/comm/thread_ranks.h"

#include <exception>
#include <mutex>
#include <thread>

#include "run/comm/thread_transport.h"
#include "run/memory/guards.h"
#include "trellis/plan/error.h"

namespace trellis {

struct ThreadRanks::State {
  int size;
  bool in_memory;
  int timeout_seconds;
  std::unique_ptr<ThreadTransport> transport;         // null: not connected
  std::vector<std::unique_ptr<GroupedWorld>> worlds;  // of each rank; end before the transport

  std::mutex mutex;
  std::exception_ptr first_error;

  void connect() {
    transport = in_memory ? memory_transport(size, timeout_seconds) : gloo_thread_transport(size, timeout_seconds);
    worlds.resize(static_cast<std::size_t>(size));
  }

  void disconnect() {
    worlds.clear();
    transport.reset();
  }

  // The error is kept before the others hear of it: theirs are consequences.
  void keep_error(int rank) {
    std::string reason = "unknown exception";
    try {
      throw;
    } catch (const Error& e) {
      reason = e.message();
    } catch (const std::exception& e) {
      reason = e.what();
    } catch (...) {
    }
    {
      const std::lock_guard lock(mutex);
      if (!first_error) first_error = std::current_exception();
    }
    transport->failed(rank, reason);
  }

  void run_rank(int rank, const std::function<void(CommWorld&)>& body) {
    prepare_thread();
    auto& world = worlds[static_cast<std::size_t>(rank)];
    try {
      if (!world) world = transport->join(rank);
      body(*world);
      transport->finished(rank);
    } catch (...) {
      keep_error(rank);
    }
  }
};

ThreadRanks::ThreadRanks(int size, bool in_memory, int timeout_seconds) : state_(std::make_unique<State>()) {
  if (size < 1) fail(ExitCode::failure, "a run needs at least one rank, not {}", size);
  state_->size = size;
  state_->in_memory = in_memory;
  state_->timeout_seconds = timeout_seconds;
}

ThreadRanks::~ThreadRanks() { state_->disconnect(); }

void ThreadRanks::run(const std::function<void(CommWorld&)>& body) {
  if (!state_->transport) state_->connect();
  state_->first_error = nullptr;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < state_->size; ++rank)
    threads.emplace_back([this, rank, &body] { state_->run_rank(rank, body); });
  threads.clear();  // joins
  bool connected = true;
  for (auto& world : state_->worlds) {
    if (world) world->record(nullptr);  // what it pointed to belonged to the body
    connected = connected && world && world->connected();
  }
  if (state_->first_error) {
    state_->disconnect();
    std::rethrow_exception(state_->first_error);
  }
  state_->transport->reset();
  if (!connected) state_->disconnect();
}

void run_threads(int size, bool in_memory, const std::function<void(CommWorld&)>& body) {
  ThreadRanks(size, in_memory).run(body);
}

}  // namespace trellis
