#include "trellis/plan/schedule.h"

#include <algorithm>

namespace trellis {

PipelineSchedule::~PipelineSchedule() = default;

int in_flight(const std::vector<Action>& actions) {
  int now = 0, most = 0;
  for (const Action& action : actions) {
    if (action.kind == ActionKind::forward) most = std::max(most, ++now);
    if (action.kind == ActionKind::backward) --now;
  }
  return most;
}

}  // namespace trellis
