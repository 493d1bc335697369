#include "plan/program/passes.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace trellis::passes {
namespace {

bool contains(const std::vector<SlotId>& slots, SlotId s) { return std::ranges::find(slots, s) != slots.end(); }
bool reads(const Instruction& i, SlotId s) { return contains(i.in, s) || contains(i.uses, s); }

bool computes(const Instruction& i) {
  return i.kind == InstructionKind::forward || i.kind == InstructionKind::input_gradient ||
         i.kind == InstructionKind::weight_gradient || i.kind == InstructionKind::backward;
}

// The list cut into the runs of instructions that belong to one layer.
std::vector<Instructions> by_layer(const Instructions& list) {
  std::vector<Instructions> segments;
  for (const Instruction& i : list) {
    if (segments.empty() || segments.back().back().layer != i.layer) segments.emplace_back();
    segments.back().push_back(i);
  }
  return segments;
}

Instructions joined(const std::vector<Instructions>& segments) {
  Instructions list;
  for (const Instructions& s : segments) list.insert(list.end(), s.begin(), s.end());
  return list;
}

Instructions take(Instructions& segment, InstructionKind kind) {
  Instructions taken;
  std::ranges::copy_if(segment, std::back_inserter(taken), [&](const Instruction& i) { return i.kind == kind; });
  std::erase_if(segment, [&](const Instruction& i) { return i.kind == kind; });
  return taken;
}

// Starts a layer's gathers when the layer before it begins.
void prefetch_gathers(std::vector<Instructions>& segments) {
  for (std::size_t k = 1; k < segments.size(); ++k) {
    const Instructions ahead = take(segments[k], InstructionKind::gather_start);
    segments[k - 1].insert(segments[k - 1].begin(), ahead.begin(), ahead.end());
  }
}

}  // namespace

void reduce_shared_once(StageProgram& stage) {
  for (BucketId b = 0; b < static_cast<BucketId>(stage.buckets.size()); ++b) {
    if (stage.buckets[static_cast<std::size_t>(b)].shared.empty()) continue;
    auto is_start = [&](const Instruction& i) { return i.kind == InstructionKind::reduce_start && i.bucket == b && i.last_only; };
    const bool in_backward = std::ranges::any_of(stage.backward, is_start);
    if (in_backward) std::erase_if(stage.forward, is_start);
    Instructions& list = in_backward ? stage.backward : stage.forward;
    auto remaining = std::ranges::count_if(list, is_start);
    std::erase_if(list, [&](const Instruction& i) { return is_start(i) && remaining-- > 1; });
  }
}

void overlap_gathers(Instructions& list) {
  std::vector<Instructions> segments = by_layer(list);
  prefetch_gathers(segments);
  list = joined(segments);
}

// Both see the same segments: what one moves must not cut those of the other.
void overlap_gathers_and_reductions(Instructions& list) {
  std::vector<Instructions> segments = by_layer(list);
  std::vector<Instructions> waits;
  for (Instructions& segment : segments) waits.push_back(take(segment, InstructionKind::reduce_wait));
  prefetch_gathers(segments);
  // Waited for at the end of the next layer; the last layer has none.
  for (std::size_t k = 0; k < segments.size(); ++k) {
    Instructions& later = segments[std::min(k + 1, segments.size() - 1)];
    later.insert(later.end(), waits[k].begin(), waits[k].end());
  }
  list = joined(segments);
}

void hoist_repeated_gathers(Instructions& list) {
  constexpr int kAhead = 2;  // compute instructions; more would keep gathered buffers alive for longer than they hide
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind != InstructionKind::start || !list[i].recomputed || list[i].move.kind != MoveKind::all_gather) continue;
    int passed = 0;
    for (std::size_t j = i; j > 0; --j) {
      const Instruction& before = list[j - 1];
      if (before.layer != list[j].layer || before.recomputed || contains(before.out, list[j].in[0])) break;
      if (computes(before) && ++passed > kAhead) break;
      std::swap(list[j - 1], list[j]);
    }
  }
}

void add_in_place(StageProgram& stage) {
  Instructions& list = stage.backward;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].kind != InstructionKind::add) continue;
    auto dead = [&](SlotId s) {
      return std::none_of(list.begin() + static_cast<std::ptrdiff_t>(i) + 1, list.end(), [&](const Instruction& later) { return reads(later, s); }) &&
             !contains(stage.send_gradient, s);
    };
    if (!dead(list[i].in[0])) std::swap(list[i].in[0], list[i].in[1]);
    const SlotId target = list[i].in[0], old = list[i].out[0];
    if (list[i].in[0] == list[i].in[1] || !dead(target)) continue;
    auto rename = [&](std::vector<SlotId>& slots) { std::ranges::replace(slots, old, target); };
    for (std::size_t j = i; j < list.size(); ++j) rename(list[j].in), rename(list[j].out);
    rename(stage.send_gradient);
  }
}

namespace {

using SlotSet = std::vector<bool>;  // by slot

void add(SlotSet& set, const std::vector<SlotId>& slots) {
  for (SlotId s : slots)
    if (s >= 0) set[static_cast<std::size_t>(s)] = true;
}

// After its last use in the list each slot is freed, but for those that live on.
void insert_frees(Instructions& list, const SlotSet& live_on) {
  std::vector<std::size_t> last(live_on.size(), list.size());
  for (std::size_t i = 0; i < list.size(); ++i)
    for (const auto* slots : {&list[i].in, &list[i].uses, &list[i].out})
      for (SlotId s : *slots)
        if (s >= 0 && !live_on[static_cast<std::size_t>(s)]) last[static_cast<std::size_t>(s)] = i;
  std::vector<std::vector<SlotId>> ending(list.size());
  std::size_t frees = 0;
  for (std::size_t s = 0; s < last.size(); ++s) {
    if (last[s] == list.size()) continue;
    if (ending[last[s]].empty()) ++frees;
    ending[last[s]].push_back(static_cast<SlotId>(s));
  }
  Instructions with_frees;
  with_frees.reserve(list.size() + frees);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const int layer = list[i].layer;
    with_frees.push_back(std::move(list[i]));
    if (!ending[i].empty())
      with_frees.push_back({.kind = InstructionKind::free, .layer = layer, .in = std::move(ending[i])});
  }
  list = std::move(with_frees);
}

}  // namespace

void add_frees(StageProgram& stage) {
  SlotSet live_on(stage.slots.size());  // read in backward before backward makes them
  SlotSet made(stage.slots.size());
  for (const Instruction& i : stage.backward) {
    for (const auto* slots : {&i.in, &i.uses})
      for (SlotId s : *slots)
        if (s >= 0 && !made[static_cast<std::size_t>(s)]) live_on[static_cast<std::size_t>(s)] = true;
    add(made, i.out);
  }
  for (const SlotId s : stage.send)
    if (live_on[static_cast<std::size_t>(s)] && !contains(stage.read_after_send, s)) stage.read_after_send.push_back(s);
  add(live_on, stage.send);
  add(live_on, stage.losses);
  insert_frees(stage.forward, live_on);
  SlotSet sent(stage.slots.size());
  add(sent, stage.send_gradient);
  insert_frees(stage.backward, sent);
}

}  // namespace trellis::passes
