#include "host/search_watch.h"

#include <fmt/format.h>

namespace trellis::host {

std::string in_words(const SearchState& state, double seconds) {
  if (!state.step) return fmt::format("{:.0f} s: no plan that fits is known yet", seconds);
  const std::string gap =
      state.gap ? fmt::format(", at most {:.2g} % more than the best there is", 100 * *state.gap) : "";
  return fmt::format("{:.0f} s: the best plan so far takes {} a step in {}{}", seconds, *state.step, state.memory, gap);
}

SearchWatch::SearchWatch(std::function<void(const std::string&)> tell, std::string hint, Seconds every, Words words)
    : tell_(std::move(tell)),
      hint_(std::move(hint)),
      every_(every),
      words_(std::move(words)),
      thread_([this](const std::stop_token& ended) { watch(ended); }) {}

void SearchWatch::know(const SearchState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
}

void SearchWatch::watch(const std::stop_token& ended) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  for (int lines = 1;; ++lines) {
    const auto next = start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(lines * every_);
    woken_.wait_until(lock, ended, next, [] { return false; });
    if (ended.stop_requested()) return;
    const std::string line = words_(state_, lines * every_.count());
    lock.unlock();
    tell_(lines == 1 && !hint_.empty() ? fmt::format("{} ({})", line, hint_) : line);
    lock.lock();
  }
}

}  // namespace trellis::host
