// The rules of pipeline schedules, which a dimension may bring.
#pragma once

#include "plan/plugin/conformance/conformance.h"
#include "trellis/plan/schedule.h"

namespace trellis::conformance {

void examine_schedules(const PipelineSchedule& schedule, Examination& exam);

}  // namespace trellis::conformance
