// Activation recomputation: a layer keeps only what enters it and computes the rest again in backward.
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class Recomputation final : public Parallelism {
 public:
  Traits traits() const override { return {.name = "ckpt", .order = 40, .scalars = {"full"}}; }

  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override {
    return {{"ckpt", {}}, {"ckpt", {{"", "full"}}}};
  }

  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    if (setting.on()) placement.retain(Retain::boundary);
    return accept();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("ckpt", "1.0.0") { registrar.add<trellis::Recomputation>(); }
