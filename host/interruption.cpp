#include "host/interruption.h"

#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace trellis::host {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM};
// A terminal and a parent that passes signals on (as coreutils' timeout does) both reach us with the same Ctrl-C.
constexpr std::int64_t kSameMilliseconds = 500;

// A handler has nothing but globals to look at.
std::atomic<int> arrived{0};
std::atomic<pid_t> child{0};
std::atomic<std::int64_t> first{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Only what is safe in a handler: atomics, clock_gettime, kill, signal, raise.
extern "C" void note(int number) {
  const int before = errno;
  if (const pid_t other = child; other > 0) kill(other, number);
  if (arrived == 0) {
    first = milliseconds();
    arrived = number;
  } else if (milliseconds() - first > kSameMilliseconds) {
    ::signal(number, SIG_DFL);
    raise(number);  // once the handler has returned
  }
  errno = before;
}

}  // namespace

Interruption::Interruption() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;  // what is being written stays whole
    sigemptyset(&action.sa_mask);
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

Interruption::~Interruption() {
  pass_on_to(0);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool Interruption::came() noexcept { return arrived != 0; }
int Interruption::signal() noexcept { return arrived; }
void Interruption::pass_on_to(pid_t to) noexcept { child = to; }

}  // namespace trellis::host
