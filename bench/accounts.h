// Where the time of steps goes: what each kind of instruction took, beside what a profile predicts for it.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "trellis/plan/cost.h"
#include "trellis/plan/plan_file.h"

namespace trellis::bench {

class Accounts {
 public:
  Accounts(const CompiledPlan&, int stage, const Prices&);

  void begin_step();
  void after(const Instruction&);  // what it took, with what a stage waited for before it
  void end_step();                 // the rest is the update
  // By kind of instruction: calls of a step, ms measured, ms predicted by price (transfers in full).
  nlohmann::json of_step() const;

 private:
  struct Account {
    std::int64_t calls = 0;
    double measured = 0, compute = 0, transfer = 0;
  };
  std::string name(const Instruction&) const;

  const CompiledPlan& plan_;
  const StageProgram& stage_;
  const Prices& prices_;
  Location at_;
  double last_ = 0;
  int steps_ = 0;
  std::map<std::string, Account> accounts_;
};

}  // namespace trellis::bench
