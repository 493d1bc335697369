// Every dimension alone, on two and on four ranks, in embedding, blocks and head.
#include "equivalence/equivalence.h"

namespace trellis::test {
namespace {

void alone(const std::string& two, const std::string& four, int micro_batches = 2) {
  for (const std::string& shape : {kGpt2 + "dropout: 0.1\nattention_dropout: 0.1\n", kLlama}) {
    Trained trained(shape);
    trained.check(trained.plan(2, two, 1, micro_batches));
    trained.check(trained.plan(4, four, 1, micro_batches));
  }
}

void pipelined(const std::string& schedule) {
  for (const std::string& shape : {kGpt2 + "dropout: 0.1\n", kLlama}) {
    Trained trained(shape);
    for (int stages : {2, 4}) {
      Plan plan = trained.plan(stages, "{}", stages, 4, 7);
      plan.schedule = schedule;
      trained.check(plan);
    }
  }
}

}  // namespace

TEST_CASE("data parallelism trains like one rank") { alone("{}", "{}"); }
TEST_CASE("zero 1 trains like one rank") { alone("{zero: {stage: 1}}", "{zero: {stage: 1}}"); }
TEST_CASE("zero 2 trains like one rank") { alone("{zero: {stage: 2}}", "{zero: {stage: 2}}"); }
TEST_CASE("zero 3 trains like one rank") { alone("{zero: {stage: 3}}", "{zero: {stage: 3}}"); }
TEST_CASE("tp trains like one rank, also above the number of kv heads") {
  alone("{tp: {degree: 2}}", "{tp: {degree: 4}}");
}
TEST_CASE("megatron_sp trains like one rank") {
  alone("{tp: {degree: 2}, megatron_sp: on}", "{tp: {degree: 4}, megatron_sp: on}");
}
TEST_CASE("ulysses trains like one rank") { alone("{ulysses: {degree: 2}}", "{ulysses: {degree: 4}}"); }
TEST_CASE("ckpt trains like one rank, with the same dropout when it runs again") {
  alone("{ckpt: full}", "{ckpt: full}", 3);
}
TEST_CASE("pp with gpipe trains like one rank") { pipelined("gpipe"); }
TEST_CASE("pp with 1f1b trains like one rank") { pipelined("1f1b"); }

}  // namespace trellis::test
