// The derivation of one layer's program, by the rules of docs/derivation.md. Internal to the plan side.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/program.h"

namespace trellis::derivation {

// An op under the placement: everything the rules need to know about it.
struct PlacedOp {
  const OpContract* contract = nullptr;
  std::vector<DimId> dims;           // all that the op names, ascending
  OpSizes sizes;
  std::vector<Layout> inputs;        // wanted, never Partial
  Layout output;                     // rule 3
  std::vector<Layout> parameters;
  std::vector<Layout> extras;
  AxisList busy;                     // axes that split any of the op's dims
};

PlacedOp place_op(const LayerSpec&, const Op&, const Placement&, const DeriveContext&);
// Layout of dims in a region.
Layout layout_in(const LayerSpec&, const std::vector<DimId>&, std::string_view region, const Placement&);
// Axes that split dims of the op which `dims` lacks (rules 2 and 7); internal ones only where asked for.
AxisList missing_axes(const LayerSpec&, const Op&, const PlacedOp&, const std::vector<DimId>& dims, bool internal);

// What the ops' derivation leaves: which slots an op read and made, and which axes its parameters' gradients wait for.
struct OpRecord {
  PlacedOp placed;
  std::vector<SlotId> inputs;
  SlotId output = -1;
  std::vector<SlotId> extras;
  int forward = -1;                  // index of its forward instruction; of the product's where it is fused
  std::vector<AxisList> reduction;   // by parameter: axes over which its gradient is Partial, ascending
};

// Appends one move of slot `from` into a new slot: a slice, or its start; finish_move() waits for it.
SlotId start_move(std::vector<Slot>&, Instructions&, SlotId from, const Move&, std::string because, const DeviceLine&);
void finish_move(Instructions&, SlotId from, SlotId to, const Move&, const DeviceLine&);
// All moves of a redistribution; returns the last slot. `made` gets every slot on the way.
SlotId redistribute(std::vector<Slot>&, Instructions&, SlotId from, const Layout& to, const std::string& because,
                    const DeviceLine&, std::vector<SlotId>* made = nullptr);

struct Draft {
  const LayerSpec& spec;
  const Placement& placement;
  const DeriveContext& context;
  LayerProgram program;
  std::vector<OpRecord> ops;
  std::map<SlotId, std::vector<int>> producers;   // slot -> forward instructions that make it

  const DeviceLine& line() const { return placement.line(); }
  SlotId add_slot(std::string name, const std::vector<DimId>& dims, Layout, Dtype, ValueId, Purpose);
};

void derive_forward(Draft&);
void derive_backward(Draft&);
// Buckets, parameter gathers and gradient reductions, added to the draft's program. Alone here it matters which lives the
// placement splits.
void derive_buckets(const Draft&, const Placement&, LayerProgram&);

}  // namespace trellis::derivation
