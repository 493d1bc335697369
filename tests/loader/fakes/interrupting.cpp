// A dimension with nothing to offer that sends the signal of Ctrl-C, once, when it is asked about a second line: a
// search looks at other numbers of stages, too, what looks at one plan does not.
#include <signal.h>

#include <atomic>

#include "trellis/plan/plugin.h"

using namespace trellis;

namespace {

class Interrupting final : public Parallelism {
 public:
  Traits traits() const override { return {.name = "interrupting", .scalars = {"on"}}; }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext& context) const override {
    int none = 0;
    const int size = context.line.size();
    if (!first_.compare_exchange_strong(none, size) && none != size && !sent_.exchange(true)) raise(SIGINT);
    return {Setting{.dimension = "interrupting"}};
  }
  Verdict apply(const Setting&, const LayerSpec&, Placement&) const override { return accept(); }

 private:
  mutable std::atomic<int> first_{0};
  mutable std::atomic<bool> sent_{false};
};

}  // namespace

TRELLIS_PLUGIN("interrupting", "1.0.0") { registrar.add<Interrupting>(); }
