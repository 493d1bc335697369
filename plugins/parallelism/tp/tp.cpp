// Tensor parallelism: attention heads, ffn and vocabulary are cut over the innermost devices.
#include <limits>
#include <string>

#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class TensorParallelism final : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "tp",
            .order = 10,
            .options = {"degree"},
            .ranges = {{"degree", {1, std::numeric_limits<int>::max()}}},
            .excludes = {"ulysses"}};
  }

  // Not wider than a node: a layer waits for every one of its moves.
  std::vector<Setting> settings(const LayerSpec& layer, const SpaceContext& space) const override {
    std::vector<Setting> settings{{"tp", {}}};
    for (const int degree : inner_degrees(space.line)) {
      if (space.devices_in_node > 0 && degree > space.devices_in_node) break;
      const Setting setting{"tp", {{"degree", std::to_string(degree)}}};
      Placement trial(space.line);
      if (apply(setting, layer, trial)) settings.push_back(setting);
    }
    return settings;
  }

  Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
    const int degree = static_cast<int>(setting.integer("degree", 1));
    const std::vector<std::string_view> roles = roles_of(layer);
    if (degree > 1 && roles.empty()) return reject("a layer '" + layer.type + "' has no heads, ffn or vocabulary");
    const auto axes = placement.claim("tp", degree);
    if (!axes) return reject(unclaimable(placement, degree));
    if (auto reason = indivisible(layer, roles, *axes, placement.line())) return reject(*reason);
    for (const std::string_view role : roles) placement.split(role, *axes, Regions::outside(kResidual));
    return accept();
  }

 private:
  static std::vector<std::string_view> roles_of(const LayerSpec& layer) {
    std::vector<std::string_view> roles{kHeads, kFfn, kVocab};
    std::erase_if(roles, [&](std::string_view role) { return layer.dims_of_role(role).empty(); });
    return roles;
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("tp", "1.0.0") { registrar.add<trellis::TensorParallelism>(); }
