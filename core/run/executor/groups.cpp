#include "run/executor/groups.h"

#include <algorithm>
#include <set>

namespace trellis {
namespace {

std::vector<int> shifted(std::vector<int> ranks, int base) {
  for (int& r : ranks) r += base;
  return ranks;
}

// Walks everything that one rank executes in a step.
class Walk {
 public:
  Walk(const CompiledPlan& plan, int stage, int rank, const OpLibrary& contracts)
      : plan_(plan), stage_(*plan.stages[static_cast<std::size_t>(stage)]), contracts_(contracts), rank_(rank),
        line_(stage_.line.size()), base_(stage * line_) {}

  std::vector<CommRecord> run() {
    pass(stage_.forward);
    pass(stage_.backward);
    for (const Instruction& i : stage_.update) update(i);
    edges();
    return std::move(records_);
  }

 private:
  void add(MoveKind kind, const AxisList& axes, Bytes bytes, int times = 1) {
    const CommRecord record{kind, shifted(stage_.line.group(rank_, axes), base_), bytes};
    records_.insert(records_.end(), static_cast<std::size_t>(times), record);
  }

  void pass(const Instructions& list) {
    const int m = plan_.plan.micro_batches;
    for (const Instruction& i : list) {
      const int times = i.last_only ? 1 : m;
      if (i.kind == InstructionKind::start) add(i.move.kind, i.move.axes, i.move.bytes, times);
      if (i.kind == InstructionKind::gather_start) gather(i.bucket, size_of(plan_.context.dtype), times);
      if (i.kind == InstructionKind::reduce_start) reduction(i.bucket, times);
      if (i.op < 0) continue;
      const LayerSpec& spec = *stage_.specs[static_cast<std::size_t>(i.layer)];
      const Op& op = spec.ops[static_cast<std::size_t>(i.op)];
      const Placement& placement = stage_.placements[static_cast<std::size_t>(i.layer)];
      const OpSizes sizes = op_sizes(spec, op, placement, plan_.context);
      const Pass pass = i.kind == InstructionKind::forward           ? Pass::forward
                        : i.kind == InstructionKind::input_gradient  ? Pass::input_gradient
                        : i.kind == InstructionKind::weight_gradient ? Pass::weight_gradient
                                                                     : Pass::backward;
      for (const InnerMove& move : contracts_.find(placement.contract_for(op.kind)).inner_moves(sizes, pass))
        add(move.kind, move.axes, move.bytes / move.count, move.count * times);
    }
  }

  void gather(BucketId b, Bytes element, int times = 1) {
    const Bucket& bucket = stage_.buckets[static_cast<std::size_t>(b)];
    add(MoveKind::all_gather, bucket.axes, received_bytes(MoveKind::all_gather, element * bucket.elements, bucket.degree), times);
  }
  void reduction(BucketId b, int times) {
    const Bucket& bucket = stage_.buckets[static_cast<std::size_t>(b)];
    const MoveKind kind = bucket.split_optimizer || bucket.split_gradient ? MoveKind::reduce_scatter : MoveKind::all_reduce;
    add(kind, bucket.axes, received_bytes(kind, size_of(gradient_dtype(plan_.context.dtype)) * bucket.elements, bucket.degree), times);
  }

  void transfer(int from_stage, int to_stage, Bytes bytes, int times, bool received) {
    const CommRecord record{MoveKind::send_recv, {from_stage * line_ + rank_, to_stage * line_ + rank_}, received ? bytes : Bytes{0}};
    records_.insert(records_.end(), static_cast<std::size_t>(times), record);
  }

  void tie(const Tie& tie, bool gradient) {
    const int from = gradient ? tie.use_stage : tie.owner_stage, to = gradient ? tie.owner_stage : tie.use_stage;
    const Dtype dtype = gradient ? gradient_dtype(plan_.context.dtype) : plan_.context.dtype;
    const BucketId source = gradient ? tie.use : tie.owner, target = gradient ? tie.owner : tie.use;
    if (from == stage_.stage) {
      const Bucket& bucket = stage_.buckets[static_cast<std::size_t>(source)];
      if (gradient ? bucket.split_gradient : bucket.split_storage) gather(source, size_of(dtype));
      for (const Move& m : gradient ? tie.gradient_moves : tie.parameter_moves)
        if (m.kind != MoveKind::slice) add(m.kind, m.axes, m.bytes);
    }
    if (from == to) return;
    const StageProgram& there = *plan_.stages[static_cast<std::size_t>(to)];
    transfer(from, to, size_of(dtype) * elements(there.buckets[static_cast<std::size_t>(target)].shapes.front()), 1, to == stage_.stage);
  }

  void update(const Instruction& i) {
    switch (i.kind) {
      case InstructionKind::tie_gradient: tie(stage_.ties[static_cast<std::size_t>(i.tie)], true); break;
      case InstructionKind::tie_parameter: tie(stage_.ties[static_cast<std::size_t>(i.tie)], false); break;
      case InstructionKind::gather_start: gather(i.bucket, size_of(plan_.context.dtype)); break;
      case InstructionKind::norm: {
        std::vector<int> world;
        for (int r = 0; r < plan_.plan.devices; ++r) world.push_back(r);
        if (plan_.plan.devices > 1)
          records_.push_back({MoveKind::all_reduce, world, received_bytes(MoveKind::all_reduce, Bytes{16}, plan_.plan.devices)});
        break;
      }
      default: break;
    }
  }

  void edges() {
    const int m = plan_.plan.micro_batches, s = stage_.stage;
    const auto each = [&](const std::vector<SlotId>& slots, int from, int to, bool received) {
      for (SlotId slot : slots) transfer(from, to, stage_.slots[static_cast<std::size_t>(slot)].bytes(), m, received);
    };
    each(stage_.receive, s - 1, s, true);
    if (s + 1 < static_cast<int>(plan_.stages.size())) each(stage_.send, s, s + 1, false);
    each(stage_.receive_gradient, s + 1, s, true);
    if (s > 0) each(stage_.send_gradient, s, s - 1, false);
  }

  const CompiledPlan& plan_;
  const StageProgram& stage_;
  const OpLibrary& contracts_;
  int rank_, line_, base_;
  std::vector<CommRecord> records_;
};

}  // namespace

std::vector<CommRecord> collectives_of(const CompiledPlan& plan, int stage, int line_rank, const OpLibrary& contracts) {
  return Walk(plan, stage, line_rank, contracts).run();
}

std::vector<std::vector<int>> groups_of(const CompiledPlan& plan, const OpLibrary& contracts) {
  std::set<std::vector<int>> groups;
  for (std::size_t s = 0; s < plan.stages.size(); ++s)
    for (int r = 0; r < plan.stages[s]->line.size(); ++r) {
      for (CommRecord& record : collectives_of(plan, static_cast<int>(s), r, contracts))
        if (record.group.size() > 1) groups.insert(std::move(record.group));
      for (const Bucket& b : plan.stages[s]->buckets)
        if (b.degree > 1) groups.insert(shifted(plan.stages[s]->line.group(r, b.axes), static_cast<int>(s) * plan.stages[s]->line.size()));
    }
  return {groups.begin(), groups.end()};
}

}  // namespace trellis
