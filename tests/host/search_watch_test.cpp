#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "host/search_watch.h"

namespace trellis::host {
namespace {

TEST_CASE("what a search knows is told in a line: step, memory, gap") {
  CHECK(in_words({.step = from_seconds(4.43), .memory = 74_GiB, .gap = 0.0234}, 20) ==
        "20 s: the best plan so far takes 4.43 s a step in 74.0 GiB, at most 2.3 % more than the best there is");
  CHECK(in_words({.step = from_seconds(4.43), .memory = 74_GiB, .gap = {}}, 10) ==
        "10 s: the best plan so far takes 4.43 s a step in 74.0 GiB");
  CHECK(in_words({}, 10) == "10 s: no plan that fits is known yet");
}

TEST_CASE("lines come at equal intervals with what is known then, the hint behind the first, until the search ends") {
  std::mutex mutex;
  std::condition_variable told;
  std::vector<std::string> lines;
  const auto tell = [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    lines.push_back(line);
    told.notify_all();
  };
  {
    SearchWatch watch(tell, "Ctrl-C ends it", SearchWatch::Seconds(0.01));
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return !lines.empty(); });
    lock.unlock();
    watch.know({.step = 5_ms, .memory = 1_GiB, .gap = {}});
    lock.lock();
    told.wait(lock, [&] { return lines.back().find("5.00 ms") != std::string::npos; });
  }
  CHECK(lines.front() == "0 s: no plan that fits is known yet (Ctrl-C ends it)");
  CHECK(lines.back().find("Ctrl-C") == std::string::npos);
  const std::size_t count = lines.size();
  CHECK(count >= 2);
}

TEST_CASE("a search that ends soon is not told of") {
  std::vector<std::string> lines;
  { SearchWatch watch([&](const std::string& line) { lines.push_back(line); }, "", SearchWatch::Seconds(600)); }
  CHECK(lines.empty());
}

}  // namespace
}  // namespace trellis::host
