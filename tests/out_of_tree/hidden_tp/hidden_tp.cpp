// Tensor parallelism of the other side of a weight: in every product the hidden dim is cut over the innermost free
// devices. Beside tp, which cuts heads and ffn, a weight then lies in two dims (Pope et al., "Efficiently scaling
// transformer inference", 2022, section 3.2.2), so the degree may go beyond the number of heads.
#include <algorithm>
#include <limits>
#include <string>

#include "trellis/plan/plugin.h"

namespace {

using namespace trellis;

class HiddenTensorParallelism final : public Parallelism {
 public:
  // Claims after tp and ulysses (order 10), before dp takes the rest (order 100).
  Traits traits() const override {
    return {.name = "hidden_tp",
            .order = 15,
            .options = {"degree"},
            .ranges = {{"degree", {1, std::numeric_limits<int>::max()}}}};
  }

  std::vector<Setting> settings(const LayerSpec& layer, const SpaceContext& space) const override {
    std::vector<Setting> settings{{"hidden_tp", {}}};
    for (const int degree : inner_degrees(space.line)) {
      const Setting setting{"hidden_tp", {{"degree", std::to_string(degree)}}};
      Placement trial(space.line);
      if (apply(setting, layer, trial)) settings.push_back(setting);
    }
    return settings;
  }

  // What a product reads is sliced along hidden, and its output is a partial sum; what it writes is gathered.
  Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
    const int degree = static_cast<int>(setting.integer("degree", 1));
    if (degree == 1) return accept();
    if (!has_product(layer)) return reject("a layer '" + layer.type + "' has no product in region linear");
    const auto axes = placement.claim("hidden_tp", degree);
    if (!axes) return reject(unclaimable(placement, degree));
    if (auto reason = indivisible(layer, {kHidden}, *axes, placement.line())) return reject(*reason);
    placement.split(kHidden, *axes, Regions::inside(kLinear));
    return accept();
  }

 private:
  // Elsewhere (the loss of a head) hidden is whole, and devices would only repeat each other's work.
  static bool has_product(const LayerSpec& layer) {
    return std::ranges::any_of(layer.ops, [](const Op& op) { return op.region == kLinear && !op.parameters.empty(); });
  }
};

}  // namespace

TRELLIS_PLUGIN("hidden_tp", "1.0.0") { registrar.add<HiddenTensorParallelism>(); }
