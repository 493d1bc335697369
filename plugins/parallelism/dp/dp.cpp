// Data parallelism: every device that no other dimension claimed takes samples of its own.
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class DataParallelism final : public Parallelism {
 public:
  Traits traits() const override { return {.name = "dp", .order = 100, .implied = true}; }

  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override { return {{"dp", {}}}; }

  Verdict apply(const Setting&, const LayerSpec&, Placement& placement) const override {
    placement.split(kBatch, placement.claim_rest("dp"));
    return accept();
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("dp", "1.0.0") { registrar.add<trellis::DataParallelism>(); }
