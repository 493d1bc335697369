// Memory of a stage: the persistent lives of its buckets, and the lifetimes of its slots, replayed over the schedule.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

#include "plan/cost/layer_costs.h"
#include "plan/program/staging.h"
#include "trellis/plan/cost.h"

namespace trellis {

Bytes allocated(Bytes bytes) { return Bytes{(bytes.value + kAllocationUnit - 1) / kAllocationUnit * kAllocationUnit}; }

BucketMemory bucket_memory(const Bucket& bucket, Dtype compute) {
  const Dtype full = gradient_dtype(compute);
  const auto part = [&](bool split) { return split ? bucket.shard() : bucket.elements; };
  BucketMemory memory;
  memory.parameter = allocated(size_of(compute) * part(bucket.split_storage));
  memory.gradient = allocated(size_of(full) * part(bucket.split_gradient));
  if (bucket.owner)
    memory.optimizer = (compute == full ? 2 : 3) * allocated(size_of(full) * part(bucket.split_optimizer));
  return memory;
}

Bytes reduction_staging(const Bucket& bucket, Dtype compute) {
  if (bucket.degree == 1) return Bytes{0};
  if (!bucket.split_gradient && !bucket.split_optimizer)
    return allocated(all_reduce_staging(size_of(gradient_dtype(compute)) * bucket.elements, bucket.degree));
  const Bytes shard = size_of(gradient_dtype(compute)) * bucket.shard();
  // Others' pieces, received beside the rank's own; under ZeRO-2 and 3 the sum is made apart and then added to the
  // shard.
  return bucket.degree * allocated(shard);
}

namespace {

// What is held, by purpose; a purpose stands in it from its first use on.
class Held {
 public:
  void take(Purpose purpose, Bytes bytes) { at(purpose).emplace(at(purpose).value_or(Bytes{0}) + bytes); }
  void give(Purpose purpose, Bytes bytes) { take(purpose, Bytes{0} - bytes); }
  std::map<Purpose, Bytes> as_map() const {
    std::map<Purpose, Bytes> map;
    for (std::size_t p = 0; p < bytes_.size(); ++p)
      if (bytes_[p]) map[static_cast<Purpose>(p)] = *bytes_[p];
    return map;
  }

 private:
  std::optional<Bytes>& at(Purpose purpose) { return bytes_[static_cast<std::size_t>(purpose)]; }
  std::array<std::optional<Bytes>, 6> bytes_;
};

class Replay {
 public:
  Replay(const StageProgram& stage, Dtype compute) : stage_(stage), compute_(compute) {
    sizes_.reserve(stage.slots.size());
    for (const Slot& slot : stage.slots) sizes_.push_back(allocated(slot.bytes()));
    for (const Bucket& bucket : stage.buckets) {
      const BucketMemory memory = bucket_memory(bucket, compute);
      take(Purpose::parameter, memory.parameter);
      take(Purpose::gradient, memory.gradient);
      take(Purpose::optimizer, memory.optimizer);
    }
    result_.states = total_;
  }

  MemoryReplay run(const std::vector<Action>& actions, bool until_last) {
    look("the parameters alone", -1);
    int last = -1;
    for (const Action& action : actions)
      if (until_last && action.kind == ActionKind::backward) last = action.micro_batch;
    for (const Action& action : actions) act(action, action.micro_batch == last);
    finish_sends(0);
    pass_peak_ = &other_peak_;
    for (const Instruction& instruction : stage_.update) run_update(instruction);
    result_.at_peak = at_peak_.as_map();
    result_.where = where();
    return result_;
  }

 private:
  using Alive = std::vector<bool>;  // by slot

  void take(Purpose purpose, Bytes bytes) { now_.take(purpose, bytes), total_ += bytes; }
  void give(Purpose purpose, Bytes bytes) { now_.give(purpose, bytes), total_ -= bytes; }

  void look(std::string_view pass, int micro_batch, const Instruction* i = nullptr) {
    *pass_peak_ = std::max(*pass_peak_, total_);
    if (total_ <= result_.peak) return;
    result_.peak = total_;
    at_peak_ = now_;
    peak_pass_ = pass, peak_micro_batch_ = micro_batch, peak_instruction_ = i;
  }

  std::string where() const {
    std::string where(peak_pass_);
    if (peak_micro_batch_ >= 0) where += fmt::format(" of micro-batch {}", peak_micro_batch_);
    if (const Instruction* i = peak_instruction_; i && i->op >= 0)
      where += fmt::format(", layer {} {}", stage_.first_layer + i->layer,
                           stage_.specs[static_cast<std::size_t>(i->layer)]->ops[static_cast<std::size_t>(i->op)].name);
    return where;
  }

  Alive& alive_in(int micro_batch) {
    Alive& alive = alive_[micro_batch];
    if (alive.empty()) alive.resize(sizes_.size());
    return alive;
  }
  Bytes size(SlotId s) const { return sizes_[static_cast<std::size_t>(s)]; }
  Purpose purpose(SlotId s) const { return stage_.slots[static_cast<std::size_t>(s)].purpose; }

  void allocate(Alive& alive, SlotId s) {
    if (s < 0 || alive[static_cast<std::size_t>(s)]) return;
    alive[static_cast<std::size_t>(s)] = true;
    take(purpose(s), size(s));
  }
  void release(Alive& alive, SlotId s) {
    if (s < 0 || !alive[static_cast<std::size_t>(s)]) return;
    alive[static_cast<std::size_t>(s)] = false;
    give(purpose(s), size(s));
  }

  void act(const Action& action, bool last) {
    Alive& alive = alive_in(action.micro_batch);
    const bool forward_side = action.kind == ActionKind::receive_forward || action.kind == ActionKind::forward ||
                              action.kind == ActionKind::send_forward;
    pass_peak_ = forward_side ? &result_.forward_peak : &result_.backward_peak;
    switch (action.kind) {
      case ActionKind::receive_forward:
        for (SlotId s : stage_.receive) allocate(alive, s);
        return look("receiving", action.micro_batch);
      case ActionKind::forward:
        return forward(action.micro_batch, last);
      case ActionKind::send_forward:
        return send(alive, stage_.send);
      case ActionKind::receive_backward:
        for (SlotId s : stage_.receive_gradient) allocate(alive, s);
        return look("receiving gradients", action.micro_batch);
      case ActionKind::backward:
        for (const Instruction& i : stage_.backward) run_instruction(alive, i, "backward", action.micro_batch, last);
        if (stage_.send_gradient.empty()) forget(action.micro_batch);
        return;
      case ActionKind::send_backward:
        send(alive, stage_.send_gradient);
        return forget(action.micro_batch);
    }
  }

  void forward(int micro_batch, bool last) {
    Alive& alive = alive_in(micro_batch);
    for (const FieldUse& use : stage_.fields) allocate(alive, use.slot);
    look("forward", micro_batch);
    for (const Instruction& i : stage_.forward) run_instruction(alive, i, "forward", micro_batch, last);
    result_.kept = Bytes{0};
    for (std::size_t s = 0; s < alive.size(); ++s)
      if (alive[s]) result_.kept += sizes_[s];
  }

  void forget(int micro_batch) {
    Alive& alive = alive_in(micro_batch);
    for (std::size_t s = 0; s < alive.size(); ++s) release(alive, static_cast<SlotId>(s));
    alive_.erase(micro_batch);
  }

  // What is sent lives on until a later send finds that its receiver has it: one send's buffers, and the new ones.
  void send(Alive& alive, const std::vector<SlotId>& slots) {
    finish_sends(slots.size());
    for (SlotId s : slots)
      if (s >= 0 && alive[static_cast<std::size_t>(s)]) {
        const bool stays = &slots == &stage_.send && std::ranges::count(stage_.read_after_send, s) > 0;
        sent_.emplace_back(purpose(s), stays ? Bytes{0} : size(s));
        alive[static_cast<std::size_t>(s)] = stays;
      }
  }
  void finish_sends(std::size_t leave) {
    for (; sent_.size() > leave; sent_.pop_front()) give(sent_.front().first, sent_.front().second);
  }

  void run_instruction(Alive& alive, const Instruction& i, std::string_view pass, int micro_batch, bool last) {
    if (i.last_only && !last) return;
    switch (i.kind) {
      case InstructionKind::free:
        for (SlotId s : i.in) release(alive, s);
        return;
      case InstructionKind::start:
        // A gather with staging arrives there, and is unpacked into its destination at the wait.
        if (!unpacks(i)) allocate(alive, i.out.front());
        take(Purpose::communication, allocated(i.scratch));
        break;
      case InstructionKind::wait:
        allocate(alive, i.out.front());
        look(pass, micro_batch, &i);
        return give(Purpose::communication, allocated(i.scratch));
      case InstructionKind::reduce_start:
        take(Purpose::communication, staging(i));
        break;
      case InstructionKind::reduce_wait:
        return give(Purpose::communication, staging(i));
      default:
        for (SlotId s : i.out) allocate(alive, s);
        take(Purpose::transient, allocated(i.scratch));
        look(pass, micro_batch, &i);
        return give(Purpose::transient, allocated(i.scratch));
    }
    look(pass, micro_batch, &i);
  }

  void run_update(const Instruction& i) {
    if (i.kind == InstructionKind::reduce_wait) return give(Purpose::communication, staging(i));
    if (i.kind == InstructionKind::gather_start) {
      take(Purpose::communication, sent_shard(i));
      return look("gathering parameters", -1, &i);
    }
    if (i.kind == InstructionKind::gather_wait) return give(Purpose::communication, sent_shard(i));
    if (i.tie < 0) return;
    const Tie& tie = stage_.ties[static_cast<std::size_t>(i.tie)];
    const bool gradient = i.kind == InstructionKind::tie_gradient;
    const Bytes piece = std::max(tie_sender(tie, gradient), tie_receiver(tie, gradient));
    take(Purpose::communication, piece);
    look(gradient ? "returning a shared gradient" : "sending a shared parameter", -1, &i);
    give(Purpose::communication, piece);
  }

  // A shard is sent from a copy, because the gather writes to where it lies.
  Bytes sent_shard(const Instruction& i) const {
    return allocated(size_of(compute_) * stage_.buckets[static_cast<std::size_t>(i.bucket)].shard());
  }

  Bytes tie_element(bool gradient) const { return size_of(gradient ? gradient_dtype(compute_) : compute_); }

  // The shared tensor leaves its bucket: as a view of it, or gathered from its shards; then move by move.
  Bytes tie_sender(const Tie& tie, bool gradient) const {
    if ((gradient ? tie.use_stage : tie.owner_stage) != stage_.stage) return Bytes{0};
    const Bucket& bucket = stage_.buckets[static_cast<std::size_t>(gradient ? tie.use : tie.owner)];
    const bool split = gradient ? bucket.split_gradient : bucket.split_storage;
    Bytes source = split ? allocated(tie_element(gradient) * bucket.elements) : Bytes{0}, most = source;
    for (const Move& move : gradient ? tie.gradient_moves : tie.parameter_moves) {
      const Bytes moved = allocated(size_of(move.dtype) * elements(local_shape(move.shape, move.to, stage_.line)));
      most = std::max(most, source + moved + allocated(staging_bytes(move, stage_.line)));
      source = moved;
    }
    return most;
  }

  // It arrives, from another stage in a tensor of its own, and is laid out as the bucket where that has shards.
  Bytes tie_receiver(const Tie& tie, bool gradient) const {
    if ((gradient ? tie.owner_stage : tie.use_stage) != stage_.stage) return Bytes{0};
    const Bucket& bucket = stage_.buckets[static_cast<std::size_t>(gradient ? tie.owner : tie.use)];
    const bool split = gradient ? bucket.split_gradient : bucket.split_storage;
    const Bytes laid_out = split ? allocated(tie_element(gradient) * bucket.elements) : Bytes{0};
    return laid_out + allocated(tie_element(gradient) * elements(bucket.shapes.front()));
  }

  static bool unpacks(const Instruction& i) { return i.move.kind == MoveKind::all_gather && i.scratch.value > 0; }
  Bytes staging(const Instruction& i) const {
    return reduction_staging(stage_.buckets[static_cast<std::size_t>(i.bucket)], compute_);
  }

  const StageProgram& stage_;
  const Dtype compute_;
  std::vector<Bytes> sizes_;    // of slots, as allocated
  std::map<int, Alive> alive_;  // by micro-batch
  std::deque<std::pair<Purpose, Bytes>> sent_;
  Held now_, at_peak_;
  Bytes total_{0};
  std::string_view peak_pass_;
  int peak_micro_batch_ = -1;
  const Instruction* peak_instruction_ = nullptr;
  MemoryReplay result_;
  Bytes other_peak_{0};               // before the first action and in the update
  Bytes* pass_peak_ = &other_peak_;
};

}  // namespace

MemoryReplay replay_memory(const StageProgram& stage, const std::vector<Action>& actions, Dtype compute) {
  return Replay(stage, compute).run(actions, true);
}

MemoryReplay replay_memory_before_last(const StageProgram& stage, const std::vector<Action>& actions, Dtype compute) {
  return Replay(stage, compute).run(actions, false);
}

}  // namespace trellis
