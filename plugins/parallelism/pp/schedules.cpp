#include "schedules.h"

#include <algorithm>
#include <utility>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

// The actions of one stage, written as the order of its forwards and backwards; both take micro-batches ascending.
class ActionList {
 public:
  ActionList(bool first, bool last) : first_(first), last_(last) {}

  void forward() {
    if (!first_) add(ActionKind::receive_forward, forwards_);
    add(ActionKind::forward, forwards_);
    if (!last_) add(ActionKind::send_forward, forwards_);
    ++forwards_;
  }

  void backward() {
    if (!last_) add(ActionKind::receive_backward, backwards_);
    add(ActionKind::backward, backwards_);
    if (!first_) add(ActionKind::send_backward, backwards_);
    ++backwards_;
  }

  std::vector<Action> take() { return std::move(actions_); }

 private:
  void add(ActionKind kind, int micro_batch) { actions_.push_back({kind, micro_batch}); }

  bool first_, last_;
  int forwards_ = 0, backwards_ = 0;
  std::vector<Action> actions_;
};

}  // namespace

std::vector<Action> PipelineSchedules::actions(std::string_view name, int stage, int stages, int micro_batches) const {
  const std::vector<std::string> known = names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw Error(ExitCode::bad_input, fmt::format("no pipeline schedule named '{}'", name),
                suggestion_hint(name, known, "known"));
  if (stage < 0 || stage >= stages) fail("stage {} of {} stages: expected 0 to {}", stage, stages, stages - 1);
  if (micro_batches < 1) fail("{} micro-batches: expected at least 1", micro_batches);

  const int ahead = name == "gpipe" ? micro_batches : std::min(micro_batches, stages - stage - 1);
  ActionList list(stage == 0, stage == stages - 1);
  for (int i = 0; i < ahead; ++i) list.forward();
  for (int i = ahead; i < micro_batches; ++i) {
    list.forward();
    list.backward();
  }
  for (int i = 0; i < ahead; ++i) list.backward();
  return list.take();
}

}  // namespace trellis
