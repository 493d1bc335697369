#pragma once

#include "trellis/plan/schedule.h"

namespace trellis {

// gpipe: all forwards, then all backwards. 1f1b: backward as early as possible (Megatron-LM's order without
// interleaving), so that a stage holds at most as many micro-batches as there are stages from it to the end.
class PipelineSchedules final : public PipelineSchedule {
 public:
  std::vector<std::string> names() const override { return {"1f1b", "gpipe"}; }
  std::vector<Action> actions(std::string_view name, int stage, int stages, int micro_batches) const override;
};

}  // namespace trellis
