// Ulysses: the sequence is cut over the innermost devices, but inside attention, which needs all of it, the heads are.
#include <limits>
#include <string>

#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class Ulysses final : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "ulysses",
            .order = 10,
            .options = {"degree"},
            .ranges = {{"degree", {1, std::numeric_limits<int>::max()}}},
            .excludes = {"tp"}};
  }

  std::vector<Setting> settings(const LayerSpec& layer, const SpaceContext& space) const override {
    std::vector<Setting> settings{{"ulysses", {}}};
    for (const int degree : inner_degrees(space.line)) {
      const Setting setting{"ulysses", {{"degree", std::to_string(degree)}}};
      Placement trial(space.line);
      if (apply(setting, layer, trial)) settings.push_back(setting);
    }
    return settings;
  }

  // The sequence always divides: a plan pads it. A layer without attention (embedding, head) only cuts the sequence.
  Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
    const int degree = static_cast<int>(setting.integer("degree", 1));
    if (degree > 1 && layer.dims_of_role(kSequence).empty())
      return reject("a layer '" + layer.type + "' has no sequence");
    const auto axes = placement.claim("ulysses", degree);
    if (!axes) return reject(unclaimable(placement, degree));
    placement.split(kSequence, *axes, Regions::outside(kAttention));
    if (layer.dims_of_role(kHeads).empty()) return accept();
    if (auto reason = indivisible(layer, {kHeads}, *axes, placement.line())) return reject(*reason);
    placement.split(kHeads, *axes, Regions::inside(kAttention));
    return accept();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("ulysses", "1.0.0") { registrar.add<trellis::Ulysses>(); }
