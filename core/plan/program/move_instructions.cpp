// Moves as instructions: starts and waits apart, so that what lies between them overlaps.
#include <utility>

#include "plan/program/derivation.h"

namespace trellis::derivation {

SlotId start_move(std::vector<Slot>& slots, Instructions& list, SlotId from, const Move& move, std::string because,
                  const DeviceLine& line) {
  Slot slot = slots[static_cast<std::size_t>(from)];
  slot.layout = move.to;
  slot.shape = local_shape(slot.global, slot.layout, line);
  slots.push_back(std::move(slot));
  const SlotId to = static_cast<SlotId>(slots.size()) - 1;
  Instruction instruction{.kind = move.kind == MoveKind::slice ? InstructionKind::slice : InstructionKind::start,
                          .layer = slots.back().layer, .in = {from}, .out = {to}, .move = move};
  instruction.scratch = staging_bytes(move, line);
  instruction.because = std::move(because);
  list.push_back(std::move(instruction));
  return to;
}

void finish_move(Instructions& list, SlotId from, SlotId to, const Move& move, const DeviceLine& line) {
  if (move.kind == MoveKind::slice) return;
  Instruction instruction{.kind = InstructionKind::wait, .in = {from}, .out = {to}, .move = move};
  instruction.scratch = staging_bytes(move, line);
  list.push_back(std::move(instruction));
}

SlotId redistribute(std::vector<Slot>& slots, Instructions& list, SlotId from, const Layout& to, const std::string& because,
                    const DeviceLine& line, std::vector<SlotId>* made) {
  const Slot source = slots[static_cast<std::size_t>(from)];
  for (const Move& move : plan_redistribution(source.global, source.dtype, source.layout, to, line)) {
    const SlotId next = start_move(slots, list, from, move, because, line);
    finish_move(list, from, next, move, line);
    from = next;
    if (made) made->push_back(next);
  }
  return from;
}

}  // namespace trellis::derivation
