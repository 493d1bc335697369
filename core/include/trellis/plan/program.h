// What runs, what is priced, what is explained: straight-line instructions over numbered slots.
//
// A LayerProgram is derived from (layer, placement, context) by reference rules (docs/derivation.md); link() joins the
// layer programs of a stage, with the transitions between them, into one StageProgram. The executor runs it, the cost
// model prices it, the memory model replays its lifetimes. Everything here is pure and thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/layout.h"
#include "trellis/plan/model.h"
#include "trellis/plan/op.h"
#include "trellis/plan/placement.h"

namespace trellis {

using SlotId = int;    // -1: none
using BucketId = int;

enum class InstructionKind {
  // compute; `op` is the op, `fused` one that is computed in the same kernel
  forward,          // in: op inputs; out: output, then extras
  input_gradient,   // in: output's gradient, op inputs (-1 where not read), output (or -1), extras (or -1); out: a gradient per input (-1 where none)
  weight_gradient,  // in as input_gradient; adds into the parameter gradients
  backward,         // both
  add,              // out = in[0] + in[1]; out may be in[0], then in place
  // communication of activations; a slice is local
  slice, start, wait,             // in: source; out: destination
  // parameters of a bucket
  gather_start, gather_wait,      // out: the whole local parameters of a ZeRO-3 bucket
  open_gradient,                  // out: a zeroed full fp32 buffer (ZeRO-2, 3)
  reduce_start, reduce_wait,      // the gradient over the bucket's reduction axes; in: the open buffer, if there is one
  free,                           // in: a slot
  // update list only
  tie_gradient,                   // a further use of a shared parameter returns its gradient to the owner
  norm,                           // the true global gradient norm, every parameter counted once; scales by the clip factor
  adamw,                          // one fused pass over the bucket's shard
  tie_parameter,                  // the owner's updated parameter goes to a further use
};
TRELLIS_API std::string_view name_of(InstructionKind);

enum class Purpose { parameter, gradient, optimizer, activation, transient, communication };
TRELLIS_API std::string_view name_of(Purpose);

struct Slot {
  std::string name;       // "attn.q", "d attn.q"
  Shape shape;            // local
  Dtype dtype = Dtype::f32;
  Layout layout;
  Shape global;           // of the whole tensor in one micro-batch
  int layer = 0;          // position in the stage
  ValueId value = -1;     // which value of that layer it is, or whose gradient
  Purpose purpose = Purpose::activation;
  bool field = false;     // a batch field: cut locally before the pass
  Bytes bytes() const;
};

struct TRELLIS_API Instruction {
  InstructionKind kind = InstructionKind::free;
  int layer = 0;                   // position in the stage
  int op = -1;
  int fused = -1;
  std::vector<SlotId> in, out;
  Move move;                       // slice, start, wait
  std::vector<SlotId> uses;        // slots that the op's parameters lie in: gathered parameters, an open gradient
  BucketId bucket = -1;
  int tie = -1;                    // tie_gradient, tie_parameter: which of StageProgram::ties
  bool last_only = false;          // run for the last micro-batch of a step only
  bool recomputed = false;         // a forward instruction that runs again in backward
  Flops flops{0};
  Bytes scratch{0};                // transient of a kernel; staging of a move from start to wait
  std::string because;
};
using Instructions = std::vector<Instruction>;

// Parameters of a layer that share their reduction axes: one flat buffer per life.
struct Bucket {
  int layer = 0;                          // position in the stage
  AxisList axes;                          // ascending; the gradient is Partial over them, ZeRO splits lives over them
  std::vector<ParameterId> parameters;    // weight-decayed ones first
  std::vector<Layout> layouts;            // of each parameter
  std::vector<Shape> shapes;              // local
  std::vector<std::int64_t> offsets;      // of each parameter in the flat buffer
  std::int64_t elements = 0;              // local, padded to a multiple of `degree`
  std::int64_t decayed = 0;               // elements that decay, from 0
  int degree = 1;                         // of axes
  bool split_optimizer = false, split_gradient = false, split_storage = false;  // ZeRO 1, 2, 3
  std::string shared;                     // a parameter that several layers use has a bucket of its own
  SlotId gathered = -1;                   // slot of the whole parameters where the storage is split
  SlotId open = -1;                       // slot of the whole gradient where the gradient is split
  bool owner = true;                      // false: a further use of a shared parameter; no optimizer
  std::int64_t shard() const { return elements / degree; }
};

struct ParameterPlace {
  BucketId bucket;
  int position;    // in the bucket
};

struct FieldUse {
  ValueId value;   // of the layer
  SlotId slot;
};

struct LayerProgram {
  std::shared_ptr<const LayerSpec> spec;
  Placement placement{DeviceLine{}};
  std::vector<Slot> slots;
  Instructions forward, backward;              // without frees; link() adds them
  std::vector<Bucket> buckets;
  std::vector<SlotId> inputs, outputs;         // edge values, in the spec's order
  std::vector<SlotId> input_gradients, output_gradients;
  std::vector<FieldUse> fields;
  std::vector<SlotId> losses;
};

struct DeriveContext {
  std::int64_t micro_batch = 1;      // samples of one micro-batch of the whole line; a multiple of every batch degree
  std::int64_t sequence_multiple = 1;  // every sequence dim is padded to a multiple of this
  Dtype dtype = Dtype::f32;          // compute dtype
  const OpLibrary* ops = nullptr;
  bool fuse = true;                  // bias into products where the sum is not Partial
  std::string key() const;           // part of the memo key
};
TRELLIS_API Dtype gradient_dtype(Dtype compute);  // f64 for f64, else f32

// Throws Error (infeasible) where the placement cannot be: a whole dim split, a dim that does not divide, an axis twice.
TRELLIS_API LayerProgram derive(std::shared_ptr<const LayerSpec>, const Placement&, const DeriveContext&);

// Local sizes of an op under a placement: what contracts and kernels are asked with.
TRELLIS_API OpSizes op_sizes(const LayerSpec&, const Op&, const Placement&, const DeriveContext&);
// Padded global size of a dim.
TRELLIS_API std::int64_t padded_size(const Dim&, const DeriveContext&);

// A further use of a parameter that several layers share (tied embeddings): the owner, the first layer that uses it, has
// all four lives; a further use has its own compute, storage and gradient and no optimizer (derivation.md rule 13).
struct Tie {
  std::string shared;
  int owner_stage = 0, use_stage = 0;
  BucketId owner = -1, use = -1;
  std::vector<Move> gradient_moves;   // on the use's line: its layout to the owner's
  std::vector<Move> parameter_moves;  // on the owner's line: its layout to the use's
};

// The layers of one pipeline stage as one list of slots, instructions and buckets.
struct StageProgram {
  DeviceLine line;
  int first_layer = 0;
  std::vector<std::shared_ptr<const LayerSpec>> specs;
  std::vector<Placement> placements;
  std::vector<Slot> slots;
  std::vector<Bucket> buckets;
  std::vector<std::map<ParameterId, ParameterPlace>> parameters;  // by layer of the stage
  Instructions forward, backward, update;
  std::vector<FieldUse> fields;              // FieldUse::value is of slots[slot].layer
  std::vector<SlotId> receive, send;         // edge values with the neighbor stages (already in the receiver's layout)
  std::vector<SlotId> receive_gradient, send_gradient;
  std::vector<SlotId> read_after_send;       // those of `send` that backward reads: they stay
  std::vector<SlotId> losses;
  int stage = 0;
  std::vector<Tie> ties;                     // of the whole pipeline, the same on every stage
};

struct LinkContext {
  DeriveContext derive;
  int first_layer = 0;
  // What the next stage takes: its first layer, and the layouts of that one's inputs; empty for the last stage.
  std::shared_ptr<const LayerSpec> next;
  std::vector<Layout> next_inputs;
  bool first = true, last = true;
};
TRELLIS_API StageProgram link(const std::vector<std::shared_ptr<const LayerProgram>>&, const LinkContext&);

// Gives the linked stages of a pipeline their update lists and their ties.
TRELLIS_API void link_updates(std::vector<StageProgram>&);

// The layouts in which a layer takes its edge inputs, and hands back their gradients.
TRELLIS_API std::vector<Layout> input_layouts(const LayerProgram&);

// Moves of a list, in order (for tests, explain and group creation).
TRELLIS_API std::vector<const Move*> moves(const Instructions&);

// Which staging a move needs between start and wait, beyond source and destination.
TRELLIS_API Bytes staging_bytes(const Move&, const DeviceLine&);

// How the pieces of a move lie: for every member of its group, the box that it sends to or receives from this rank,
// relative to the local source and destination. The executor packs and unpacks by it, on any backend.
struct MovePieces {
  std::vector<int> group;         // ranks of the line, in communicator order
  std::vector<Box> send, receive; // per member; in local coordinates of source and destination
  Box own;                        // this rank's destination within its source: what a slice takes
};
TRELLIS_API MovePieces pieces(const Move&, const DeviceLine&, int rank);

}  // namespace trellis
