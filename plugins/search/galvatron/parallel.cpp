#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "answer.h"

namespace trellis::galvatron {

void in_parallel(int threads, std::size_t count, const std::function<void(std::size_t)>& work) {
  const int machine = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const std::size_t workers = std::min(count, static_cast<std::size_t>(threads > 0 ? threads : machine));
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  for (std::size_t w = 1; w < workers; ++w) pool.emplace_back(run);
  run();
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace trellis::galvatron
