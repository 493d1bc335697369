#include "plan/cost/timeline.h"

#include <doctest/doctest.h>

#include <random>

#include "support/small_gpt.h"

using namespace trellis;

TEST_CASE("a transfer hides under computing that lies between its start and its wait") {
  Timeline time(1);
  const Picoseconds place = time.start(10_us);
  time.compute(7_us);
  time.wait(place);
  CHECK(time.now() == 10_us);
  CHECK(time.exposed() == 3_us);
}

TEST_CASE("a link works off transfers in order, and a wait for the first does not wait for the second") {
  Timeline time(1);
  const Picoseconds first = time.start(4_us);
  const Picoseconds second = time.start(6_us);
  time.wait(first);
  CHECK(time.now() == 4_us);
  time.compute(2_us);
  time.wait(second);
  CHECK(time.now() == 10_us);
}

TEST_CASE("reductions and moves share the link, and a move does not wait for all reductions before it") {
  Timeline time(1);
  const Picoseconds reduction = time.start(10_us, Timeline::Queue::reductions);
  const Picoseconds move = time.start(2_us);
  time.wait(move);
  CHECK(time.now() == 4_us);
  CHECK(time.backlog() == 8_us);
  time.start(6_us);
  time.compute(4_us);
  CHECK(time.backlog() == 10_us);  // 6 of the reduction, 4 of the move
  time.wait(reduction, Timeline::Queue::reductions);
  CHECK(time.now() == 18_us);
  CHECK(time.backlog() == 0_us);
}

TEST_CASE("while both go on, computing and communicating slow each other") {
  Timeline time(1.5);
  const Picoseconds place = time.start(4_us);
  time.compute(10_us);
  time.wait(place);
  CHECK(time.now() == 12_us);
}

TEST_CASE("1f1b over uniform stages takes (micro-batches + stages - 1) times forward and backward") {
  const PipelineSchedule& schedule = find_schedule(test::dimensions(), "1f1b");
  const StageTimes stage{.forward = 1_us, .backward = 2_us, .last_backward = 2_us};
  for (const std::string name : {"1f1b", "gpipe"}) {
    std::vector<std::vector<Action>> actions;
    for (int s = 0; s < 4; ++s) actions.push_back(schedule.actions(name, s, 4, 8));
    CHECK(replay_schedule(std::vector<StageTimes>(4, stage), actions).front() == (8 + 4 - 1) * 3_us);
  }
}

TEST_CASE("a schedule that waits for what is never sent is an error") {
  CHECK_THROWS_WITH_AS(replay_schedule({{}, {}}, {{}, {{ActionKind::receive_forward, 0}}}),
                       doctest::Contains("stage 1 waits for micro-batch 0 for ever"), Error);
}

TEST_CASE("no step becomes shorter when a duration grows") {
  const PipelineSchedule& schedule = find_schedule(test::dimensions(), "1f1b");
  std::mt19937 random(7);
  const auto draw = [&] { return Picoseconds{static_cast<std::int64_t>(random() % 40)}; };
  std::vector<std::vector<Action>> actions;
  for (int s = 0; s < 3; ++s) actions.push_back(schedule.actions("1f1b", s, 3, 5));
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<StageTimes> times(3);
    for (StageTimes& t : times)
      t = {.forward = draw(),
           .backward = draw(),
           .last_backward = draw(),
           .send_forward = draw(),
           .send_backward = draw()};
    const auto before = replay_schedule(times, actions);
    StageTimes& grown = times[random() % 3];
    Picoseconds* fields[] = {&grown.forward, &grown.backward, &grown.last_backward, &grown.send_forward,
                             &grown.send_backward};
    *fields[random() % 5] += draw();
    const auto after = replay_schedule(times, actions);
    for (std::size_t s = 0; s < 3; ++s) REQUIRE(after[s] >= before[s]);
  }
}
