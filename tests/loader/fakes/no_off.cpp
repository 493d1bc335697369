// A dimension that has nothing to offer, not even off.
#include "trellis/plan/plugin.h"

using namespace trellis;

namespace {

class NoOff final : public Parallelism {
 public:
  Traits traits() const override { return {.name = "no_off", .scalars = {"on"}}; }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override { return {}; }
  Verdict apply(const Setting&, const LayerSpec&, Placement&) const override { return accept(); }
};

}  // namespace

TRELLIS_PLUGIN("no_off", "1.0.0") { registrar.add<NoOff>(); }
