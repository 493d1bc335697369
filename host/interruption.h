// Ctrl-C (SIGINT) or SIGTERM while a search is at work: the first asks it to end with the best plan that it has, the
// next one ends the program. Signals that the program was started to ignore stay ignored.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <array>

namespace trellis::host {

// Watches for as long as it lives; one at a time. What came stays known.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  static bool came() noexcept;  // any thread may ask
  static int signal() noexcept;  // that came; 0: none
  // A child that is to hear of it, too, where the signal was sent to this process alone. 0: none.
  static void pass_on_to(pid_t child) noexcept;

 private:
  std::array<struct sigaction, 2> before_{};
};

}  // namespace trellis::host
