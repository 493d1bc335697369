#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "support/small_gpt.h"
#include "trellis/plan/pins.h"

using namespace trellis;

namespace {

// 2 blocks: layers 0 (embedding), 1, 2 (block), 3 (head). 4 heads.
const ModelSpec& model() {
  static const ModelSpec small = test::small_gpt(2);
  return small;
}

// `section`: the lines of a section search.
Problem problem(const std::string& section, int devices = 4, std::vector<std::int64_t> batches = {}) {
  const Options options = Options::from_text("search:\n  use: x\n" + section, "run.yaml").section("search");
  SpaceOptions space{.batch = 8, .devices = devices, .budget = 1_GiB, .micro_batches = {1}};
  space.batches = std::move(batches);
  space.pins = read_pins(options, test::dimensions(), model());
  options.get("use", "");
  options.finish();  // all of it is read
  return make_problem(model(), test::dimensions(), space);
}

std::string error_of(const std::string& section, int devices = 4) {
  try {
    problem(section, devices);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The strategies that a layer has under some choice.
std::set<std::string> strategies(const Problem& problem, int layer) {
  std::set<std::string> result;
  for (const GlobalChoice& choice : problem.choices)
    for (const Candidate& candidate : problem.candidates(layer, choice)) result.insert(to_string(candidate.strategy));
  return result;
}

std::set<int> stages(const Problem& problem) {
  std::set<int> result;
  for (const GlobalChoice& choice : problem.choices) result.insert(choice.stages);
  return result;
}

bool some(const std::set<std::string>& texts, const std::string& part) {
  return std::ranges::any_of(texts, [&](const std::string& text) { return text.find(part) != std::string::npos; });
}
bool all(const std::set<std::string>& texts, const std::string& part) {
  return std::ranges::all_of(texts, [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("a fix by layers leaves these layers the candidates that have it, and the others all") {
  const Problem pinned = problem("  fix: {0-1: {tp: {degree: 2}}, head: {zero: {stage: 3}, ckpt: full}}\n");
  CHECK(all(strategies(pinned, 0), "tp 2"));
  CHECK(all(strategies(pinned, 1), "tp 2"));
  CHECK(some(strategies(pinned, 2), "tp 4"));
  CHECK(some(strategies(pinned, 2), "ulysses 2"));
  CHECK(all(strategies(pinned, 3), "zero 3"));
  CHECK(all(strategies(pinned, 3), "ckpt full"));
  CHECK(some(strategies(pinned, 3), "tp 2"));  // what is not named is free
  // 4 stages of one device have no tp 2.
  CHECK(stages(pinned) == std::set<int>{1, 2});
}

TEST_CASE("layers of one type have the same list of candidates under the same pins, and another one under others") {
  const Problem pinned = problem("  fix: {0-1: {tp: {degree: 2}}}\n");
  const GlobalChoice& choice = pinned.choices.front();
  CHECK(&pinned.candidates(1, choice) != &pinned.candidates(2, choice));
  CHECK(&pinned.candidates(1, choice) == &pinned.candidates(1, choice));
  const Problem free = problem("");
  CHECK(&free.candidates(1, free.choices.front()) == &free.candidates(2, free.choices.front()));
}

TEST_CASE("a forbid of a word leaves the dimension out, one of several dimensions their combination") {
  const Problem pinned = problem("  forbid: [ulysses, {layers: 1, megatron_sp: on, ckpt: full}]\n");
  for (int layer = 0; layer < 4; ++layer) CHECK_FALSE(some(strategies(pinned, layer), "ulysses"));
  CHECK(some(strategies(pinned, 1), "megatron_sp"));
  CHECK(some(strategies(pinned, 1), "ckpt full"));
  for (const std::string& text : strategies(pinned, 1))
    CHECK_FALSE((text.find("megatron_sp") != std::string::npos && text.find("ckpt") != std::string::npos));
  CHECK(some(strategies(pinned, 2), "ckpt full, megatron_sp"));
}

TEST_CASE("bounds hold for whole numbers, and a dimension that is off counts as the smallest") {
  CHECK(stages(problem("  forbid: [{pp: {above: 2}}]\n")) == std::set<int>{1, 2});
  CHECK(stages(problem("  fix: {pp: {degree: {at_least: 2, below: 4}}}\n")) == std::set<int>{2});
  CHECK(stages(problem("  fix: {pp: off}\n")) == std::set<int>{1});
  CHECK(stages(problem("  fix: {pp: on}\n")) == std::set<int>{2, 4});
  const Problem at_most = problem("  fix: [{layers: 1, tp: {at_most: 2}, zero: {stage: [0, 3]}}]\n");
  CHECK(some(strategies(at_most, 1), "tp 2, zero 3"));
  CHECK(some(strategies(at_most, 1), "-"));
  CHECK_FALSE(some(strategies(at_most, 1), "tp 4"));
  CHECK_FALSE(some(strategies(at_most, 1), "zero 2"));
}

TEST_CASE("a pinned schedule is one of pipelines: a plan of one stage has none") {
  const Problem pinned = problem("  fix: {pp: {schedule: gpipe}}\n");
  CHECK(stages(pinned) == std::set<int>{1, 2, 4});
  for (const GlobalChoice& choice : pinned.choices) CHECK((choice.stages == 1 || choice.schedule == "gpipe"));
}

TEST_CASE("a forbid may tie layers to the plan: no recomputation in a pipeline") {
  const Problem pinned = problem("  forbid: [{pp: on, ckpt: on}]\n");
  for (const GlobalChoice& choice : pinned.choices)
    for (const Candidate& candidate : pinned.candidates(1, choice))
      CHECK((choice.stages == 1 || !candidate.strategy.contains("ckpt")));
  CHECK(some(strategies(pinned, 1), "ckpt full"));
}

TEST_CASE("a setting that changes nothing on the devices of a stage can still be fixed") {
  const Problem pinned = problem("  fix: {zero: {stage: 3}}\n", 1);
  CHECK(all(strategies(pinned, 1), "zero 3"));
}

TEST_CASE("fix and forbid that contradict each other are told with both places and the layer") {
  CHECK(error_of("  fix: {0-1: {tp: {degree: 2}}}\n  forbid: [{layers: 1-2, tp: on}]\n") ==
        "run.yaml:3:14: search.fix.0-1 contradicts search.forbid[0] (run.yaml:4:12): layer 1 (block) has no candidate "
        "left\n    layer 1 (block) can have: tp off, tp 2, tp 4");
  CHECK(error_of("  fix: {0-1: {tp: {degree: 2}}, 1-3: {tp: {degree: 4}}}\n") ==
        "run.yaml:3:14: search.fix.0-1 contradicts search.fix.1-3 (run.yaml:3:38): layer 1 (block) has no candidate "
        "left\n    layer 1 (block) can have: tp off, tp 2, tp 4");
  CHECK(error_of("  fix: {pp: {degree: 4}, 2: {tp: {degree: 2}}}\n") ==
        "run.yaml:3:13: search.fix.pp contradicts search.fix.2 (run.yaml:3:29): layer 2 (block) has no candidate left\n"
        "    layer 2 (block) can have: tp off, tp 2, tp 4");
  CHECK(error_of("  forbid: [{pp: on}, {pp: off}]\n") ==
        "run.yaml:3:12: search.forbid[0] contradicts search.forbid[1] (run.yaml:3:22): no number of stages or schedule "
        "is left\n    stages to choose from: 1, 2, 4; schedules: 1f1b, gpipe");
}

TEST_CASE("a fix that no candidate meets names the layer and what it can have") {
  CHECK(error_of("  fix: {1: {tp: {degree: 8}}}\n") ==
        "run.yaml:3:12: search.fix.1: layer 1 (block) has no candidate left\n"
        "    layer 1 (block) can have: tp off, tp 2, tp 4");
  CHECK(error_of("  fix: {pp: {degree: 3}}\n") ==
        "run.yaml:3:13: search.fix.pp: no number of stages or schedule is left\n"
        "    stages to choose from: 1, 2, 4; schedules: 1f1b, gpipe");
  CHECK(error_of("  fix: {embedding: {ulysses: on, tp: on}}\n").find("layer 0 (embedding) has no candidate left") !=
        std::string::npos);
}

TEST_CASE("settings that exclude or need each other are named, and why") {
  const std::string apart = error_of("  fix: {tp: {degree: 4}, ulysses: on}\n");
  CHECK_MESSAGE(apart.find("'tp 4' and 'ulysses 2' exclude each other: ") != std::string::npos, apart);
  const std::string needed = error_of("  fix: {1: {megatron_sp: on, tp: off}}\n");
  CHECK_MESSAGE(needed.find("'megatron_sp' and 'tp off' exclude each other: ") != std::string::npos, needed);
}

TEST_CASE("pins of layers that no order of the devices serves together are told") {
  const ModelSpec twelve = test::family("gpt")->describe(
      Options::from_text("shape: gpt2\nhidden: 96\nheads: 12\nvocab: 256\nsequence: 32\nlayers: 2\n", "twelve heads"));
  const Options search = Options::from_text("fix: {1: {tp: {degree: 4}}, 2: {tp: {degree: 3}}}\n", "search");
  SpaceOptions space{.batch = 8, .devices = 12, .budget = 1_GiB, .micro_batches = {1}};
  space.pins = read_pins(search, test::dimensions(), twelve);
  CHECK_THROWS_WITH_AS(make_problem(twelve, test::dimensions(), space), doctest::Contains("fix.1 contradicts fix.2"),
                       Error);
}

TEST_CASE("what a pin says wrongly is told with its place and the likely fix") {
  CHECK(error_of("  fix: {0-9: {tp: {degree: 2}}}\n") ==
        "run.yaml:3:14: search.fix.0-9: there is no layer 9\n    the model has layers 0-3");
  CHECK(error_of("  forbid: [ulises]\n") ==
        "run.yaml:3:12: search.forbid[0].ulises: no parallelism dimension named 'ulises'\n    did you mean 'ulysses'?");
  CHECK(error_of("  fix: {blok: {tp: on}}\n") ==
        "run.yaml:3:15: search.fix.blok: no parallelism dimension named 'blok'\n    did you mean 'block'?");
  CHECK(error_of("  fix: {tp: {degre: 2}}\n") ==
        "run.yaml:3:21: search.fix.tp.degre: unknown option of parallelism 'tp'\n    did you mean 'degree'?");
  CHECK(error_of("  fix: {tp: 2}\n") ==
        "run.yaml:3:13: search.fix.tp: expected on or off, found '2'\n    write tp: {degree: 2}");
  CHECK(error_of("  fix: {ckpt: fully}\n") ==
        "run.yaml:3:15: search.fix.ckpt: expected on or off or full, found 'fully'\n    did you mean 'full'?");
  CHECK(error_of("  fix: {zero: {stage: 4}}\n") == "run.yaml:3:23: search.fix.zero.stage: expected 0 to 3, found 4");
  CHECK(error_of("  fix: {tp: {degree: {above: 4, below: 5}}}\n") ==
        "run.yaml:3:22: search.fix.tp.degree: no number is within these bounds");
  CHECK(error_of("  fix: {0-3: {pp: {degree: 2}}}\n") ==
        "run.yaml:3:19: search.fix.0-3.pp: holds for the whole plan, not for some of its layers\n"
        "    write it in an entry without layers");
  CHECK(error_of("  fix: {pp: {schedule: 1f2b}}\n") ==
        "run.yaml:3:13: search.fix.pp: no pipeline schedule named '1f2b'\n    did you mean '1f1b'?");
  CHECK(error_of("  fix: {dp: {degree: 2}}\n") ==
        "run.yaml:3:13: search.fix.dp: not a choice: it takes the devices that the others leave");
  CHECK(error_of("  fix: {0,3: {tp: {degree: 2}}}\n") ==
        "run.yaml:3:9: search.fix.0: nothing is said of 0\n"
        "    inside braces a comma ends a key: write \"0,3\": {...} in quotes");
  CHECK(error_of("  fix: {0: []}\n").find("nothing is said of 0") != std::string::npos);
  CHECK(error_of("  forbid: [{layers: 0-3}]\n").find("search.forbid[0]: names no dimension") != std::string::npos);
  CHECK(error_of("  forbid: [[tp]]\n").find("expected a word or a mapping") != std::string::npos);
}

TEST_CASE("searches keep to the pins") {
  const Problem pinned = problem("  fix: {block: {tp: {degree: 2}}}\n  forbid: [zero, {pp: on}]\n");
  const Oracle oracle(model(), test::dimensions(), test::op_library(), Dtype::f32, test::plain_prices());
  for (const std::string name : {"uniform", "dynamic_programming"}) {
    CAPTURE(name);
    SearchLog log;
    const auto plan = test::search(name)->solve(pinned, oracle, Options::empty(), log);
    REQUIRE(plan);
    CHECK(objection(pinned, *plan, oracle.step(*plan)).empty());
    CHECK(to_string(plan->layers[1]).find("tp 2") == 0);
  }
}

TEST_CASE("choices go over all batches, and over all divisors of each as micro-batches") {
  SpaceOptions space{.batch = 8, .devices = 1, .budget = 1_GiB};
  const auto pairs = [&] {
    std::string text;
    for (const GlobalChoice& c : make_problem(model(), test::dimensions(), space).choices)
      text += fmt::format("{}/{} ", c.batch, c.micro_batches);
    return text;
  };
  CHECK(pairs() == "8/1 8/2 8/4 8/8 ");
  space.batches = {12, 6, 12};
  CHECK(pairs() == "6/1 6/2 6/3 6/6 12/1 12/2 12/3 12/4 12/6 12/12 ");
  space.micro_batches = {2, 5, 8};  // those that a batch has samples for; they need not divide it
  CHECK(pairs() == "6/2 6/5 12/2 12/5 12/8 ");
  space.micro_batches = {13};
  CHECK_THROWS_WITH_AS(pairs(), "13 micro-batches cannot be made of a batch of 12", Error);
  space.batches = {0};
  CHECK_THROWS_WITH_AS(pairs(), "a batch of 0: expected at least 1 sample", Error);
}

TEST_CASE("plans of different batches compare by the time of a sample, exactly") {
  CHECK(Score{10_us, 8} < Score{21_us, 16});
  CHECK(Score{20_us, 16} == Score{10_us, 8});
  CHECK(Score{Picoseconds{INT64_MAX}, 2} > Score{Picoseconds{INT64_MAX - 1}, 2});
  CHECK(Score{10_us, 8}.step_of_batch(16) == 20_us);
  CHECK(Score{10_us, 8}.step_of_batch(8) == 10_us);
  CHECK(Score{10_us, 8}.seconds_per_sample() == doctest::Approx(1.25e-6));
}

TEST_CASE("with several batches a search takes the one with the most samples a second") {
  const Problem free = problem("  forbid: [zero, ckpt, ulysses, tp]\n", 2, {2, 4, 8});
  const Oracle oracle(model(), test::dimensions(), test::op_library(), Dtype::f32, test::plain_prices());
  for (const std::string name : {"uniform", "dynamic_programming"}) {
    CAPTURE(name);
    SearchLog log;
    const auto plan = test::search(name)->solve(free, oracle, Options::empty(), log);
    REQUIRE(plan);
    CHECK(plan->batch == 8);  // the update is shared by the most samples
  }
}
