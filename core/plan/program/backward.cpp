// Backward, in reverse order (derivation rules 5 to 7, 9) and what has to be made again for it (rules 10, 11).
#include <fmt/format.h>

#include <algorithm>

#include "plan/program/derivation.h"
#include "trellis/plan/error.h"

namespace trellis::derivation {
namespace {

AxisList merged(AxisList a, const AxisList& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::ranges::sort(a);
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

class Backward {
 public:
  explicit Backward(Draft& draft)
      : d_(draft), arrived_(draft.spec.values.size()), pending_(draft.spec.values.size(), 0), producer_(draft.spec.values.size(), -1) {}

  void run() {
    for (std::size_t i = 0; i < d_.spec.ops.size(); ++i) {
      producer_[static_cast<std::size_t>(d_.spec.ops[i].output)] = static_cast<int>(i);
      for (ValueId v : d_.spec.ops[i].inputs) ++pending_[static_cast<std::size_t>(v)];
    }
    d_.program.backward.reserve(4 * d_.spec.ops.size());
    for (ValueId v : d_.spec.outputs) ++pending_[static_cast<std::size_t>(v)];
    if (d_.placement.retained() == Retain::boundary) make_again(all_needed());
    for (ValueId v : d_.spec.outputs) {
      const SlotId slot = gradient_slot(v, wanted(v, {}));
      d_.program.output_gradients.push_back(slot);
      contribute(v, slot);
    }
    for (std::size_t i = d_.spec.ops.size(); i-- > 0;) add_op(static_cast<int>(i));
    for (ValueId v : d_.spec.inputs) d_.program.input_gradients.push_back(settle(v));
  }

 private:
  struct Chain {          // one sum of arrived gradients on its way to the wanted layout
    SlotId slot;          // where it stands, or where its first move is going
    SlotId from = -1;     // source of a started move
    std::vector<Move> moves;
  };

  Instructions& list() { return d_.program.backward; }
  const Slot& slot(SlotId s) const { return d_.program.slots[static_cast<std::size_t>(s)]; }
  const Value& value_of(ValueId v) const { return d_.spec.values[static_cast<std::size_t>(v)]; }
  bool has_gradient(ValueId v) const { return !d_.spec.is_field(v); }

  SlotId gradient_slot(ValueId v, Layout layout) {
    return d_.add_slot("d " + value_of(v).name, value_of(v).dims, std::move(layout), d_.context.dtype, v, Purpose::activation);
  }

  // Rule 5: as the producer's output, not Partial; a product takes its gradient Partial over axes that are idle in it.
  Layout wanted(ValueId v, const std::vector<SlotId>& sums) const {
    const int producer = producer_[static_cast<std::size_t>(v)];
    if (producer < 0) return layout_in(d_.spec, value_of(v).dims, kResidual, d_.placement);
    const PlacedOp& placed = d_.ops[static_cast<std::size_t>(producer)].placed;
    Layout layout = placed.output;
    layout.partial.clear();
    if (placed.contract->carries_partial() && sums.size() == 1)
      for (Atom a : slot(sums[0]).layout.partial)
        if (std::ranges::find(placed.busy, a) == placed.busy.end()) layout.partial.push_back(a);
    return layout;
  }

  void contribute(ValueId v, SlotId gradient) {
    auto& mine = arrived_[static_cast<std::size_t>(v)];
    mine.push_back(gradient);
    if (--pending_[static_cast<std::size_t>(v)] == 0) start_moves(v);
  }

  // Rule 6: equal layouts are added first, Partial ones too; then each sum starts on its way at once (rule 9).
  void start_moves(ValueId v) {
    std::vector<SlotId> sums;
    for (SlotId s : arrived_[static_cast<std::size_t>(v)]) {
      auto same = std::ranges::find_if(sums, [&](SlotId t) { return slot(t).layout == slot(s).layout; });
      if (same == sums.end()) sums.push_back(s);
      else *same = add(v, *same, s);
    }
    const Layout want = wanted(v, sums);
    for (SlotId s : sums) {
      Chain chain{.slot = s, .moves = plan_redistribution(slot(s).global, slot(s).dtype, slot(s).layout, want, d_.line())};
      if (!chain.moves.empty()) {
        chain.from = s;
        chain.slot = start_move(d_.program.slots, list(), s, chain.moves.front(), reason(v, s, want), d_.line());
      }
      chains_[v].push_back(std::move(chain));
    }
  }

  std::string reason(ValueId v, SlotId from, const Layout& want) const {
    const int producer = producer_[static_cast<std::size_t>(v)];
    const std::string taker = producer < 0 ? "the layer before" : d_.spec.ops[static_cast<std::size_t>(producer)].name;
    if (slot(from).layout.partial != want.partial) return fmt::format("the gradient of {} is a partial sum, and {} takes it whole", value_of(v).name, taker);
    return fmt::format("its gradient goes back laid out as {} made it", taker);
  }

  SlotId add(ValueId v, SlotId a, SlotId b) {
    const SlotId out = gradient_slot(v, slot(a).layout);
    list().push_back({.kind = InstructionKind::add, .in = {a, b}, .out = {out}, .flops = Flops{elements(slot(a).shape)}});
    return out;
  }

  SlotId settle(ValueId v) {
    SlotId total = -1;
    for (Chain& chain : chains_[v]) {
      for (std::size_t m = 0; m < chain.moves.size(); ++m) {
        if (m > 0) {
          chain.from = chain.slot;
          chain.slot = start_move(d_.program.slots, list(), chain.from, chain.moves[m], "", d_.line());
        }
        finish_move(list(), chain.from, chain.slot, chain.moves[m], d_.line());
      }
      total = total < 0 ? chain.slot : add(v, total, chain.slot);
    }
    return total;
  }

  void add_op(int index) {
    const Op& op = d_.spec.ops[static_cast<std::size_t>(index)];
    OpRecord& record = d_.ops[static_cast<std::size_t>(index)];
    const OpContract& contract = *record.placed.contract;
    if (contract.once()) {
      reductions(op, record, {});
      for (std::size_t i = 0, made = 0; i < op.inputs.size(); ++i)
        if (has_gradient(op.inputs[i])) contribute(op.inputs[i], record.extras.at(made++));
      return;
    }
    const SlotId dy = settle(op.output);
    if (dy < 0) fail(ExitCode::failure, "{} {}: nothing uses its output", d_.spec.type, op.name);
    const AxisList carried = slot(dy).layout.partial;
    reductions(op, record, carried);
    const bool any_gradient = std::ranges::any_of(op.inputs, [&](ValueId v) { return has_gradient(v); });
    if (contract.passes_gradient()) {
      if (!op.parameters.empty()) compute(InstructionKind::weight_gradient, Pass::weight_gradient, index, dy, carried);
      for (ValueId v : op.inputs)
        if (has_gradient(v)) contribute(v, dy);
    } else if (contract.splits_backward()) {
      if (any_gradient) compute(InstructionKind::input_gradient, Pass::input_gradient, index, dy, carried);
      if (!op.parameters.empty()) compute(InstructionKind::weight_gradient, Pass::weight_gradient, index, dy, carried);
    } else {
      compute(InstructionKind::backward, Pass::backward, index, dy, carried);
    }
  }

  // Rule 8: the axes over which a parameter's gradient is Partial.
  void reductions(const Op& op, OpRecord& record, const AxisList& carried) {
    for (ParameterId p : op.parameters)
      record.reduction.push_back(merged(missing_axes(d_.spec, op, record.placed, d_.spec.parameters[static_cast<std::size_t>(p)].dims,
                                                     record.placed.contract->once()), carried));
  }

  void compute(InstructionKind kind, Pass pass, int index, SlotId dy, const AxisList& carried) {
    const Op& op = d_.spec.ops[static_cast<std::size_t>(index)];
    OpRecord& record = d_.ops[static_cast<std::size_t>(index)];
    make_again(needed(index, pass));
    Instruction instruction{.kind = kind, .op = index, .in = reads(index, pass)};
    instruction.in.front() = dy;
    instruction.flops = record.placed.contract->flops(record.placed.sizes, pass);
    instruction.scratch = record.placed.contract->scratch(record.placed.sizes, pass);
    if (kind != InstructionKind::weight_gradient)
      for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        if (!has_gradient(op.inputs[i])) {
          instruction.out.push_back(-1);
          continue;
        }
        Layout layout = record.placed.inputs[i];
        layout.partial = merged(missing_axes(d_.spec, op, record.placed, op.input_dims[i], false), carried);
        instruction.out.push_back(gradient_slot(op.inputs[i], std::move(layout)));
      }
    const std::vector<SlotId> made = instruction.out;
    list().push_back(std::move(instruction));
    for (std::size_t i = 0; i < made.size(); ++i)
      if (made[i] >= 0) contribute(op.inputs[i], made[i]);
  }

  // The slots that a pass reads: a place for the gradient, inputs, output, extras; -1 where it does not read one.
  std::vector<SlotId> reads(int index, Pass pass) const {
    const OpRecord& record = d_.ops[static_cast<std::size_t>(index)];
    const Needs needs = record.placed.contract->needs(d_.spec, d_.spec.ops[static_cast<std::size_t>(index)], pass);
    std::vector<SlotId> in;
    in.reserve(record.inputs.size() + record.extras.size() + 2);
    in.push_back(-1);
    for (std::size_t i = 0; i < record.inputs.size(); ++i)
      in.push_back(i < needs.inputs.size() && needs.inputs[i] ? record.inputs[i] : -1);
    in.push_back(needs.output ? record.output : -1);
    for (SlotId s : record.extras) in.push_back(needs.extras ? s : -1);
    return in;
  }
  std::vector<SlotId> needed(int index, Pass pass) const {
    std::vector<SlotId> slots = reads(index, pass);
    std::erase(slots, -1);
    return slots;
  }
  std::vector<SlotId> all_needed() const {
    std::vector<SlotId> slots;
    for (std::size_t i = 0; i < d_.ops.size(); ++i) {
      const OpContract& contract = *d_.ops[i].placed.contract;
      if (contract.once()) continue;
      std::vector<Pass> passes{Pass::backward};
      if (contract.splits_backward()) passes = {Pass::input_gradient, Pass::weight_gradient};
      if (contract.passes_gradient()) passes = {Pass::weight_gradient};
      for (Pass pass : passes) {
        const std::vector<SlotId> more = needed(static_cast<int>(i), pass);
        slots.insert(slots.end(), more.begin(), more.end());
      }
    }
    return slots;
  }

  // Rule 10 and 11: what stays alive from forward to backward.
  bool retained(SlotId s) const {
    const auto producers = d_.producers.find(s);
    if (slot(s).field || producers == d_.producers.end()) return true;
    const Instruction& made_by = d_.program.forward[static_cast<std::size_t>(producers->second.back())];
    if (made_by.op >= 0 && d_.ops[static_cast<std::size_t>(made_by.op)].placed.contract->once()) return true;
    if (d_.placement.retained() == Retain::boundary) return false;
    return !(made_by.kind == InstructionKind::wait && made_by.move.kind == MoveKind::all_gather);
  }

  // The shortest list of forward instructions that makes these slots from retained ones, in forward order.
  void make_again(std::vector<SlotId> open) {
    std::vector<int> again;
    made_.resize(d_.program.slots.size());
    while (!open.empty()) {
      const auto s = static_cast<std::size_t>(open.back());
      open.pop_back();
      if (made_[s] || retained(static_cast<SlotId>(s))) continue;
      made_[s] = true;
      for (int i : d_.producers.at(static_cast<SlotId>(s))) {
        again.push_back(i);
        for (SlotId in : d_.program.forward[static_cast<std::size_t>(i)].in)
          if (in >= 0) open.push_back(in);
      }
    }
    std::ranges::sort(again);
    again.erase(std::unique(again.begin(), again.end()), again.end());
    for (int i : again) {
      list().push_back(d_.program.forward[static_cast<std::size_t>(i)]);
      list().back().recomputed = true;
      for (SlotId s : list().back().out) made_[static_cast<std::size_t>(s)] = true;
    }
  }

  Draft& d_;
  std::vector<std::vector<SlotId>> arrived_;  // by value
  std::vector<int> pending_, producer_;
  std::map<ValueId, std::vector<Chain>> chains_;
  std::vector<bool> made_;                     // by slot: made again so far
};

}  // namespace

void derive_backward(Draft& draft) { Backward(draft).run(); }

}  // namespace trellis::derivation
