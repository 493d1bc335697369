// ZeRO: devices that would hold the same state of a parameter hold a shard of it each. Stage 1 splits the optimizer's
// state, stage 2 also the gradient, stage 3 also the stored parameter.
#include <string>

#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class Zero final : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "zero", .order = 30, .options = {"stage"}, .ranges = {{"stage", {0, 3}}}};
  }

  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override {
    std::vector<Setting> settings{{"zero", {}}};
    for (int stage = 1; stage <= 3; ++stage) settings.push_back({"zero", {{"stage", std::to_string(stage)}}});
    return settings;
  }

  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    const std::int64_t stage = setting.integer("stage", 0);
    if (stage >= 1) placement.split_state(Life::optimizer);
    if (stage >= 2) placement.split_state(Life::gradient);
    if (stage >= 3) placement.split_state(Life::storage);
    return accept();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("zero", "1.0.0") { registrar.add<trellis::Zero>(); }
