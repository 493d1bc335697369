#include "plan/plugin/conformance/schedules.h"

#include <array>
#include <map>
#include <set>

namespace trellis::conformance {
namespace {

constexpr int kStages = 4, kMicroBatches = 6;
using Lists = std::vector<std::vector<Action>>;  // by stage

const char* words(ActionKind kind) {
  constexpr std::array kNames = {"receive_forward",  "forward",  "send_forward",
                                 "receive_backward", "backward", "send_backward"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::set<ActionKind> kinds_of(int stage, int stages) {
  std::set<ActionKind> kinds = {ActionKind::forward, ActionKind::backward};
  if (stage > 0) kinds.insert({ActionKind::receive_forward, ActionKind::send_backward});
  if (stage + 1 < stages) kinds.insert({ActionKind::send_forward, ActionKind::receive_backward});
  return kinds;
}

// Each micro-batch has each action of this stage once.
std::string miscount(const std::vector<Action>& actions, int stage, int stages, int micro_batches) {
  const std::set<ActionKind> kinds = kinds_of(stage, stages);
  std::map<std::pair<ActionKind, int>, int> counts;
  for (const Action& action : actions) ++counts[{action.kind, action.micro_batch}];
  for (ActionKind kind : kinds)
    for (int i = 0; i < micro_batches; ++i)
      if (const int found = counts[{kind, i}]; found != 1)
        return fmt::format("stage {} has {} {} times for micro-batch {}", stage, words(kind), found, i);
  return actions.size() == kinds.size() * micro_batches ? "" : fmt::format("stage {} has actions too many", stage);
}

// What must have happened before, on this stage or on a neighbor. Sends do not wait for their receives.
std::vector<std::pair<int, ActionKind>> before(int stage, int stages, ActionKind kind) {
  switch (kind) {
    case ActionKind::receive_forward:
      return {{stage - 1, ActionKind::send_forward}};
    case ActionKind::receive_backward:
      return {{stage + 1, ActionKind::send_backward}};
    case ActionKind::send_forward:
      return {{stage, ActionKind::forward}};
    case ActionKind::send_backward:
      return {{stage, ActionKind::backward}};
    case ActionKind::forward:
      if (stage == 0) return {};
      return {{stage, ActionKind::receive_forward}};
    case ActionKind::backward:
      break;
  }
  if (stage + 1 == stages) return {{stage, ActionKind::forward}};
  return {{stage, ActionKind::forward}, {stage, ActionKind::receive_backward}};
}

// Runs all stages side by side, each action as soon as its turn comes and what it needs is there.
std::string deadlock(const Lists& lists) {
  const int stages = static_cast<int>(lists.size());
  std::set<std::tuple<int, ActionKind, int>> done;
  std::vector<std::size_t> next(lists.size());
  for (bool moved = true; moved;) {
    moved = false;
    for (int s = 0; s < stages; ++s) {
      if (next[s] == lists[s].size()) continue;
      const Action& action = lists[s][next[s]];
      bool ready = true;
      for (const auto& [stage, kind] : before(s, stages, action.kind))
        ready = ready && done.contains({stage, kind, action.micro_batch});
      if (!ready) continue;
      done.insert({s, action.kind, action.micro_batch});
      ++next[s];
      moved = true;
    }
  }
  for (int s = 0; s < stages; ++s)
    if (next[s] < lists[s].size())
      return fmt::format("stage {} waits forever at {} of micro-batch {}", s, words(lists[s][next[s]].kind),
                         lists[s][next[s]].micro_batch);
  return {};
}

std::string first_problem(const PipelineSchedule& schedule, const std::string& name) {
  for (int stages = 1; stages <= kStages; ++stages) {
    for (int micro_batches = 1; micro_batches <= kMicroBatches; ++micro_batches) {
      Lists lists;
      std::string problem;
      for (int s = 0; s < stages && problem.empty(); ++s) {
        lists.push_back(schedule.actions(name, s, stages, micro_batches));
        problem = miscount(lists.back(), s, stages, micro_batches);
      }
      if (problem.empty()) problem = deadlock(lists);
      if (!problem.empty()) return fmt::format("{} stages, {} micro-batches: {}", stages, micro_batches, problem);
    }
  }
  return {};
}

}  // namespace

void examine_schedules(const PipelineSchedule& schedule, Examination& exam) {
  const bool has_names = exam.rule("its schedules have names", [&] {
    const std::vector<std::string> names = schedule.names();
    if (names.empty()) return "there is none";
    return std::set<std::string>(names.begin(), names.end()).size() == names.size() ? "" : "a name comes twice";
  });
  if (!has_names) return;
  for (const std::string& name : schedule.names())
    exam.rule(fmt::format("schedule '{}' runs every micro-batch once and never waits forever", name),
              [&] { return first_problem(schedule, name); });
  exam.rule("a schedule that it does not have is an error", [&] {
    try {
      schedule.actions("no such schedule", 0, 1, 1);
    } catch (const Error&) {
      return "";
    }
    return "it gave actions for 'no such schedule'";
  });
}

}  // namespace trellis::conformance
