#include "bench/accounts.h"

#include <fmt/format.h>

#include <ctime>

namespace trellis::bench {
namespace {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

Accounts::Accounts(const CompiledPlan& plan, int stage, const Prices& prices)
    : plan_(plan), stage_(*plan.stages[static_cast<std::size_t>(stage)]), prices_(prices), at_{stage * stage_.line.size()} {}

std::string Accounts::name(const Instruction& i) const {
  if (std::string key = compute_key(stage_, i); !key.empty()) return key;
  if (i.kind == InstructionKind::start || i.kind == InstructionKind::wait)
    return fmt::format("move {} {} bytes, {}", name_of(i.move.kind), i.move.bytes.value, name_of(i.kind));
  return std::string(name_of(i.kind));
}

void Accounts::begin_step() { last_ = now(); }

void Accounts::after(const Instruction& i) {
  const double t = now();
  Account& a = accounts_[name(i)];
  const Price price = prices_.price(stage_, i, plan_.context, at_);
  ++a.calls, a.measured += t - last_, a.compute += to_seconds(price.compute), a.transfer += to_seconds(price.transfer);
  last_ = now();
}

void Accounts::end_step() {
  const double t = now();
  Account& a = accounts_["update"];
  ++a.calls, a.measured += t - last_;
  for (const Instruction& i : stage_.update) {
    const Price price = prices_.price(stage_, i, plan_.context, at_);
    a.compute += to_seconds(price.compute), a.transfer += to_seconds(price.transfer);
  }
  ++steps_;
}

nlohmann::json Accounts::of_step() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, a] : accounts_)
    all[name] = {{"calls", static_cast<double>(a.calls) / steps_},
                 {"measured_ms", 1e3 * a.measured / steps_},
                 {"compute_ms", 1e3 * a.compute / steps_},
                 {"transfer_ms", 1e3 * a.transfer / steps_}};
  return all;
}

}  // namespace trellis::bench
