// A search that is interrupted while it works: by itself, by the signal that its option `by` names.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "trellis/plan/cost.h"
#include "trellis/plan/plugin.h"

using namespace trellis;

namespace {

void wait(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

class Patient final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    const int signal = options.get("by", "INT") == "TERM" ? SIGTERM : SIGINT;
    const bool finds = options.get("finds", true), twice = options.get("twice", false);
    const bool from_parent = options.get("from_parent", false);
    options.finish();
    if (from_parent) kill(getppid(), signal);
    else raise(signal), raise(signal);  // as a terminal and a parent that passes it on do
    while (!log.stopped()) wait(1);
    if (twice) wait(600), raise(signal);
    if (!finds) {
      log.status = "nothing found";
      return std::nullopt;
    }
    const auto least = least_memory(problem, oracle);
    return least ? std::optional(least->plan) : std::nullopt;
  }
};

}  // namespace

TRELLIS_PLUGIN("patient", "1.0.0") { registrar.add<Patient>(); }
