// Pipeline parallelism: the layers are cut into stages, each with a line of devices of its own. Which layers, and in
// which order a stage runs its micro-batches, is a choice for a whole plan (Plan::stages, Plan::schedule).
#include <limits>

#include "schedules.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

class PipelineParallelism final : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "pp",
            .scope = Scope::model,
            .options = {"degree", "schedule"},
            .ranges = {{"degree", {1, std::numeric_limits<int>::max()}}}};
  }

  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override { return {{"pp", {}}}; }

  Verdict apply(const Setting&, const LayerSpec&, Placement&) const override { return accept(); }

  const void* extension(std::string_view id) const override {
    return id == kPipelineSchedule ? static_cast<const PipelineSchedule*>(&schedules_) : nullptr;
  }

 private:
  PipelineSchedules schedules_;
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("pp", "1.0.0") { registrar.add<trellis::PipelineParallelism>(); }
