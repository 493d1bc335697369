#include <doctest/doctest.h>

#include <map>

#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/plan/schedule.h"

using namespace trellis;

namespace {

const PipelineSchedule& schedule() {
  return *static_cast<const PipelineSchedule*>(test::dimension("pp")->extension(kPipelineSchedule));
}

// "F0" forward, "B0" backward; r> s> receive and send forward, <r <s receive and send backward.
std::string listed(std::string_view name, int stage, int stages, int micro_batches) {
  static const std::map<ActionKind, std::string> kSigns{
      {ActionKind::forward, "F"},       {ActionKind::backward, "B"},          {ActionKind::receive_forward, "r>"},
      {ActionKind::send_forward, "s>"}, {ActionKind::receive_backward, "<r"}, {ActionKind::send_backward, "<s"}};
  std::string text;
  for (const Action& action : schedule().actions(name, stage, stages, micro_batches))
    text += (text.empty() ? "" : " ") + kSigns.at(action.kind) + std::to_string(action.micro_batch);
  return text;
}

std::string computed(std::string_view name, int stage, int stages, int micro_batches) {
  std::string text;
  for (const Action& action : schedule().actions(name, stage, stages, micro_batches)) {
    if (action.kind == ActionKind::forward) text += "F" + std::to_string(action.micro_batch);
    if (action.kind == ActionKind::backward) text += "B" + std::to_string(action.micro_batch);
  }
  return text;
}

int held(std::string_view name, int stage, int stages, int micro_batches) {
  return in_flight(schedule().actions(name, stage, stages, micro_batches));
}

}  // namespace

TEST_CASE("1f1b over 3 stages and 5 micro-batches warms up by the distance to the last stage") {
  CHECK(computed("1f1b", 0, 3, 5) == "F0F1F2B0F3B1F4B2B3B4");
  CHECK(computed("1f1b", 1, 3, 5) == "F0F1B0F2B1F3B2F4B3B4");
  CHECK(computed("1f1b", 2, 3, 5) == "F0B0F1B1F2B2F3B3F4B4");
}

TEST_CASE("1f1b with fewer micro-batches than stages is all warm-up and cool-down") {
  CHECK(computed("1f1b", 0, 4, 2) == "F0F1B0B1");
  CHECK(computed("1f1b", 2, 4, 2) == "F0F1B0B1");
  CHECK(computed("1f1b", 3, 4, 2) == "F0B0F1B1");
}

TEST_CASE("gpipe runs all forwards, then all backwards, in the same order") {
  CHECK(computed("gpipe", 0, 3, 5) == "F0F1F2F3F4B0B1B2B3B4");
  CHECK(computed("gpipe", 2, 3, 5) == "F0F1F2F3F4B0B1B2B3B4");
}

TEST_CASE("a stage talks to the neighbors that it has") {
  CHECK(listed("1f1b", 0, 3, 2) == "F0 s>0 F1 s>1 <r0 B0 <r1 B1");
  CHECK(listed("1f1b", 1, 3, 2) == "r>0 F0 s>0 r>1 F1 s>1 <r0 B0 <s0 <r1 B1 <s1");
  CHECK(listed("1f1b", 2, 3, 2) == "r>0 F0 B0 <s0 r>1 F1 B1 <s1");
  CHECK(listed("gpipe", 1, 3, 2) == "r>0 F0 s>0 r>1 F1 s>1 <r0 B0 <s0 <r1 B1 <s1");
  CHECK(listed("gpipe", 0, 1, 2) == "F0 F1 B0 B1");
}

TEST_CASE("without a pipeline 1f1b holds one micro-batch and gpipe all") {
  CHECK(computed("1f1b", 0, 1, 3) == "F0B0F1B1F2B2");
  CHECK(held("1f1b", 0, 1, 3) == 1);
  CHECK(held("gpipe", 0, 1, 3) == 3);
}

TEST_CASE("in flight are the micro-batches between forward and the end of backward") {
  CHECK(held("1f1b", 0, 3, 5) == 3);
  CHECK(held("1f1b", 1, 3, 5) == 2);
  CHECK(held("1f1b", 2, 3, 5) == 1);
  CHECK(held("1f1b", 0, 4, 2) == 2);
  CHECK(held("gpipe", 2, 3, 5) == 5);
  CHECK(in_flight({}) == 0);
}

TEST_CASE("what one stage sends the next receives, in the same order") {
  for (const std::string name : {"1f1b", "gpipe"}) {
    for (int stage = 0; stage + 1 < 4; ++stage) {
      const auto of = [&](int at, ActionKind kind) {
        std::vector<int> micro_batches;
        for (const Action& action : schedule().actions(name, at, 4, 6))
          if (action.kind == kind) micro_batches.push_back(action.micro_batch);
        return micro_batches;
      };
      CHECK(of(stage, ActionKind::send_forward) == of(stage + 1, ActionKind::receive_forward));
      CHECK(of(stage, ActionKind::receive_backward) == of(stage + 1, ActionKind::send_backward));
    }
  }
}

TEST_CASE("an unknown schedule, a stage out of range and no micro-batches are errors") {
  CHECK_THROWS_WITH_AS(schedule().actions("1fb1", 0, 2, 2),
                       "no pipeline schedule named '1fb1'\n    did you mean '1f1b'?", Error);
  CHECK_THROWS_WITH_AS(schedule().actions("gpipe", 2, 2, 2), "stage 2 of 2 stages: expected 0 to 1", Error);
  CHECK_THROWS_WITH_AS(schedule().actions("gpipe", 0, 2, 0), "0 micro-batches: expected at least 1", Error);
}

TEST_CASE("only pp brings schedules") {
  CHECK(schedule().names() == std::vector<std::string>{"1f1b", "gpipe"});
  CHECK(test::dimension("tp")->extension(kPipelineSchedule) == nullptr);
  CHECK(test::dimension("pp")->extension("another power") == nullptr);
}
