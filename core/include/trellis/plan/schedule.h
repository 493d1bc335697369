// In which order a pipeline stage runs its micro-batches. A schedule is only its action lists: the executor walks them,
// the cost model replays them. Brought by a parallelism plugin as the extension kPipelineSchedule.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis {

enum class ActionKind { receive_forward, forward, send_forward, receive_backward, backward, send_backward };
struct Action {
  ActionKind kind;
  int micro_batch;
  bool operator==(const Action&) const = default;
};

inline constexpr std::string_view kPipelineSchedule = "trellis.pipeline_schedule/1";

class TRELLIS_API PipelineSchedule {
 public:
  virtual ~PipelineSchedule();
  virtual std::vector<std::string> names() const = 0;  // "gpipe", "1f1b"
  // Actions of one stage. The first stage receives nothing, the last sends nothing forward; likewise backward.
  virtual std::vector<Action> actions(std::string_view name, int stage, int stages, int micro_batches) const = 0;
};

// The largest number of micro-batches whose forward ran and whose backward has not ended.
TRELLIS_API int in_flight(const std::vector<Action>&);

}  // namespace trellis
