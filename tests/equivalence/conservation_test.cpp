// The checks of a debug run can fail: programs that promise something else than what runs are found out.
#include <functional>

#include "equivalence/equivalence.h"
#include "run/comm/thread_ranks.h"
#include "trellis/plan/error.h"

namespace trellis::test {
namespace {

// The message with which the ranks end when every stage's program has been changed.
std::string told(const std::string& all, const std::function<void(StageProgram&)>& change) {
  Trained trained(kGpt2);
  CompiledPlan plan = trained.verifier.compiled(trained.plan(2, all));
  for (auto& stage : plan.stages) {
    auto changed = std::make_shared<StageProgram>(*stage);
    change(*changed);
    stage = changed;
  }
  try {
    run_threads(2, true, [&](CommWorld& world) { trained.verifier.train(plan, world, true); });
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing";
}

Instruction& first(Instructions& list, InstructionKind kind) {
  for (Instruction& i : list)
    if (i.kind == kind) return i;
  FAIL("no such instruction");
  return list.front();
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a program that is left alone passes the checks") {
  CHECK(told("{tp: {degree: 2}}", [](StageProgram&) {}) == "nothing");
}

TEST_CASE("a move in forward that receives more than its program says is found out") {
  const std::string message = told("{tp: {degree: 2}}", [](StageProgram& stage) {
    first(stage.forward, InstructionKind::start).move.bytes -= Bytes(8);
  });
  INFO(message);
  CHECK(contains(message, "executed collectives differ from the program's"));
}

TEST_CASE("a move in backward that receives less than its program says is found out") {
  const std::string message = told("{tp: {degree: 2}}", [](StageProgram& stage) {
    Move& move = first(stage.backward, InstructionKind::start).move;
    move.bytes = move.bytes * 2;
  });
  INFO(message);
  CHECK(contains(message, "executed collectives differ from the program's"));
}

TEST_CASE("a value that is kept and was not to be is found out") {
  const std::string message = told("{}", [](StageProgram& stage) {
    // The program promises another sample than the kernel is given.
    for (Slot& slot : stage.slots)
      if (slot.name == "attn.core") slot.shape.front() += 1;
  });
  INFO(message);
  CHECK(contains(message, "bytes kept for backward differ from the replayed ones"));
}

}  // namespace trellis::test
