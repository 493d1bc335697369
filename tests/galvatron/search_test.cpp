#include <doctest/doctest.h>

#include "cases.h"

namespace trellis::galvatron {
namespace {

using doctest::Approx;

TEST_CASE("llama2-7b gets the reference's plan, throughput and memory") {
  const Case c(kLlama);
  const SearchOutcome found = search_as_reference(c.costs());
  REQUIRE(found.best);
  CHECK(found.best->throughput() == Approx(14.73233930110096).epsilon(1e-9));
  CHECK(found.best->step == Approx(1.0860461243113173).epsilon(1e-9));
  CHECK(Case::sequence(found) == "20 x 1-1-8f-c, 12 x 1-1-8f");
  CHECK(found.best->vocabulary.text() == "1-2*-4f-sp");  // vtp 2, vsp 1, embed_sdp 1
  CHECK(found.best->task.micro_batches == 1);
  CHECK(found.best->left == std::vector<double>{107});
  CHECK(found.best->used == std::vector<double>{36757});
}

TEST_CASE("the fixture gets the reference's plan, throughput and memory") {
  const Case c(kFixture);
  const SearchOutcome found = search_as_reference(c.costs());
  REQUIRE(found.best);
  CHECK(found.best->throughput() == Approx(2.6485091385312187).epsilon(1e-8));
  CHECK(found.best->step == Approx(24.164538105196957).epsilon(1e-8));
  CHECK(Case::sequence(found) == "14 x 1-4*-2f-c, 12 x 1-4*-2f, 2 x 1-4*-2");
  CHECK(found.best->vocabulary.text() == "1-8*-1");
  CHECK(found.best->left == std::vector<double>{53});
  CHECK(found.best->used == std::vector<double>{36811});
}

// Answers of the reference's main branch, run on the same files.
struct Known {
  const char* run;
  std::vector<std::string> overrides;
  double throughput;
  const char* sequence;
};

TEST_CASE("other batches, memories, schedules and modes get the reference's answers") {
  const std::vector<Known> all = {
      {kFixture, {"micro_batches=64"}, 2.9118267509535194, "3 x 2-4*-1-c, 25 x 2-4*-1"},
      {kFixture, {"micro_batches=8", "fine_grained=off"}, 2.5246283459057333, "28 x 1-1-8f-c"},
      {kFixture, {"micro_batches=16"}, 2.563995017537269, "23 x 1-2*-4f-c, 4 x 1-2*-4f, 1 x 1-2*-4"},
      {kFixture,
       {"micro_batches=64", "memory=40GiB", "schedule=gpipe"},
       2.855031265300434,
       "2 x 1-8*-1-sp, 26 x 1-8*-1"},
      {kFixture,
       {"micro_batches=64", "memory=48GiB", "layers=27"},
       3.078641860467344,
       "3 x 2-4*-1-sp, 10 x 2-4*-1, 4 x 2-4*-1-sp, 10 x 2-4*-1"},
      {kFixture,
       {"micro_batches=8", "memory=24GiB", "sequence=4096", "memory_mode=static", "time_mode=static"},
       5.921558716137579,
       "24 x 1-1-8f-c, 3 x 1-1-8f, 1 x 1-1-8"},
      {kFixture,
       {"micro_batches=4", "memory=20GiB", "sequence=4096", "memory_mode=static", "time_mode=batch", "layers=30"},
       5.368319739016746,
       "29 x 1-1-8f-c, 1 x 1-1-8f"},
      {kLlama,
       {"batch=64", "micro_batches=8"},
       14.042445656026915,
       "9 x 2-2*-2f-c, 2 x 2-2*-2-c, 1 x 2-2*-2f, 4 x 2-2*-2, 6 x 2-2*-2f-c, 1 x 2-2*-2f, 9 x 2-2*-2"},
      {kLlama,
       {"batch=64", "micro_batches=32", "memory=24GiB"},
       12.655840559217015,
       "8 x 4-1-2-c, 5 x 4-2*-1-c, 3 x 4-2*-1, 3 x 4-2*-1-c, 5 x 4-2*-1, 1 x 4-2*-1-c, 7 x 4-2*-1"},
      {kLlama, {"batch=64", "micro_batches=16", "memory=16GiB"}, 10.89680825118258, "31 x 2-4*-1-c, 1 x 2-4*-1"},
      {kLlama,
       {"batch=48", "micro_batches=12", "memory=18GiB", "layers=30"},
       12.670725934197586,
       "4 x 2-2*-2f-c, 10 x 2-2*-2-c, 1 x 2-2*-2, 8 x 2-4*-1-c, 7 x 2-4*-1"},
      {kLlama, {"batch=32", "micro_batches=4", "default_dp=ddp"}, 13.728488454361274, "9 x 1-4*-2f-c, 23 x 1-4*-2f"},
      {kLlama,
       {"batch=64", "micro_batches=8", "memory=20GiB", "schedule=gpipe"},
       11.74661602917827,
       "22 x 1-4*-2f-c, 5 x 1-4*-2-c, 4 x 1-4*-2f, 1 x 1-4*-2"},
      {kLlama, {"batch=32", "micro_batches=4", "memory=40GiB", "disable=[ckpt]"}, 13.582475074118676, "32 x 1-8*-1"},
      {kLlama,
       {"batch=64", "micro_batches=16", "memory=30GiB", "disable=[sp]", "max_tp=4"},
       14.008850913528548,
       "5 x 4-1-2f-c, 2 x 4-1-2-c, 1 x 4-1-2, 6 x 4-1-2-c, 2 x 4-1-2, 1 x 4-1-2f-c, 3 x 4-1-2-c, 4 x 4-1-2f, 1 x "
       "4-2*-1-c, 7 x 4-2*-1"},
      {kFixture, {"micro_batches=64", "memory=18GiB"}, 2.3188260108393854, "28 x 2-4*-1-c"},
  };
  for (const Known& known : all) {
    const Case c(known.run, known.overrides);
    const SearchOutcome found = search_as_reference(c.costs());
    INFO(known.throughput);
    REQUIRE(found.best);
    CHECK(found.best->throughput() == Approx(known.throughput).epsilon(1e-12));
    if (known.sequence) CHECK(Case::sequence(found) == known.sequence);
    const SearchOutcome exact = search_exactly(c.costs());
    CHECK(exact.proven);
    CHECK(exact.best->throughput() >= found.best->throughput() * (1 - 1e-12));
  }
}

TEST_CASE("where nothing fits nothing is found, and proven so") {
  const Case c(kLlama, {"batch=32", "micro_batches=8", "memory=12GiB"});
  CHECK_FALSE(search_as_reference(c.costs()).best);
  const SearchOutcome exact = search_exactly(c.costs());
  CHECK_FALSE(exact.best);
  CHECK(exact.proven);
}

TEST_CASE("one and two threads find the same") {
  const Case one(kLlama, {"micro_batches=[1, 2, 4]", "threads=1"}),
      two(kLlama, {"micro_batches=[1, 2, 4]", "threads=2"});
  const SearchOutcome a = search_as_reference(one.costs()), b = search_as_reference(two.costs());
  CHECK(a.best->step == b.best->step);
  CHECK(Case::sequence(a) == Case::sequence(b));
  CHECK(search_exactly(one.costs()).best->layers == search_exactly(two.costs()).best->layers);
}

TEST_CASE("an answer becomes a plan with embedding and head around the layers") {
  const Case c(kFixture, {"micro_batches=64"});
  const Plan plan = to_plan(*search_as_reference(c.costs()).best, c.settings);
  CHECK(plan.layers.size() == 30);
  CHECK(plan.stages == std::vector<StageRange>{{0, 14}, {15, 29}});
  CHECK(plan.atoms == std::vector<int>{2, 2});
  CHECK(plan.batch == 64);
  CHECK(plan.micro_batches == 64);
  CHECK(to_string(plan.layers[1]) == "tp 4, ckpt full, megatron_sp");
  CHECK(to_string(plan.layers[28]) == "tp 4, megatron_sp");
  CHECK(to_string(plan.layers[29]) == "tp 4, megatron_sp");
}

}  // namespace
}  // namespace trellis::galvatron
