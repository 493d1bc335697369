// Megatron's sequence parallelism: between the products that tp cuts, its devices each keep a part of the sequence.
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class MegatronSequenceParallelism final : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "megatron_sp", .order = 20, .scalars = {"on"}, .requires_ = {"tp"}};
  }

  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override {
    return {{"megatron_sp", {}}, {"megatron_sp", {{"", "on"}}}};
  }

  Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
    if (!setting.on()) return accept();
    if (layer.dims_of_role(kSequence).empty()) return reject("a layer '" + layer.type + "' has no sequence");
    placement.split(kSequence, placement.axis("tp"), Regions::inside(kResidual));
    return accept();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("megatron_sp", "1.0.0") { registrar.add<trellis::MegatronSequenceParallelism>(); }
