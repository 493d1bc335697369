// The update lists of a pipeline: what happens once a step, after the last micro-batch (derivation rule 13).
#include <map>

#include "trellis/plan/program.h"

namespace trellis {
namespace {

Shape whole_shape(const StageProgram& stage, const Bucket& bucket) {
  const LayerSpec& spec = *stage.specs[static_cast<std::size_t>(bucket.layer)];
  return spec.shape(spec.parameters[static_cast<std::size_t>(bucket.parameters.front())].dims, 0);
}

// The first bucket of a shared name owns it; every other is a further use.
std::vector<Tie> find_ties(std::vector<StageProgram>& stages) {
  std::vector<Tie> ties;
  std::map<std::string, std::pair<int, BucketId>> owners;
  for (int s = 0; s < static_cast<int>(stages.size()); ++s)
    for (BucketId b = 0; b < static_cast<BucketId>(stages[static_cast<std::size_t>(s)].buckets.size()); ++b) {
      StageProgram& stage = stages[static_cast<std::size_t>(s)];
      Bucket& use = stage.buckets[static_cast<std::size_t>(b)];
      if (use.shared.empty()) continue;
      const auto [entry, first] = owners.try_emplace(use.shared, s, b);
      if (first) continue;
      const auto [owner_stage, owner_id] = entry->second;
      const Bucket& owner = stages[static_cast<std::size_t>(owner_stage)].buckets[static_cast<std::size_t>(owner_id)];
      use.owner = false;
      use.split_optimizer = false;
      const Shape shape = whole_shape(stage, use);
      const Dtype dtype = stage.slots.empty() ? Dtype::f32 : stage.slots.front().dtype;
      Tie tie{.shared = use.shared, .owner_stage = owner_stage, .use_stage = s, .owner = owner_id, .use = b};
      tie.gradient_moves = plan_redistribution(shape, gradient_dtype(dtype), use.layouts.front(), owner.layouts.front(), stage.line);
      tie.parameter_moves = plan_redistribution(shape, dtype, owner.layouts.front(), use.layouts.front(), stage.line);
      ties.push_back(std::move(tie));
    }
  return ties;
}

void add_ties(StageProgram& stage, InstructionKind kind) {
  for (std::size_t t = 0; t < stage.ties.size(); ++t) {
    const Tie& tie = stage.ties[t];
    if (tie.owner_stage != stage.stage && tie.use_stage != stage.stage) continue;
    Instruction instruction{.kind = kind, .tie = static_cast<int>(t)};
    instruction.because = "layers share " + tie.shared;
    stage.update.push_back(std::move(instruction));
  }
}

}  // namespace

void link_updates(std::vector<StageProgram>& stages) {
  const std::vector<Tie> ties = find_ties(stages);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    StageProgram& stage = stages[s];
    stage.stage = static_cast<int>(s);
    stage.ties = ties;
    stage.update.clear();
    const auto each_bucket = [&](auto test, InstructionKind kind) {
      for (std::size_t b = 0; b < stage.buckets.size(); ++b)
        if (test(stage.buckets[b]))
          stage.update.push_back({.kind = kind, .layer = stage.buckets[b].layer, .bucket = static_cast<BucketId>(b)});
    };
    const auto gathers = [](const Bucket& b) { return b.split_optimizer && !b.split_storage; };
    each_bucket([](const Bucket& b) { return b.degree > 1 && !b.split_gradient; }, InstructionKind::reduce_wait);
    add_ties(stage, InstructionKind::tie_gradient);
    stage.update.push_back({.kind = InstructionKind::norm});
    for (std::size_t b = 0; b < stage.buckets.size(); ++b) {
      const Bucket& bucket = stage.buckets[b];
      if (!bucket.owner) continue;
      stage.update.push_back({.kind = InstructionKind::adamw, .layer = bucket.layer, .bucket = static_cast<BucketId>(b)});
      if (gathers(bucket))
        stage.update.push_back({.kind = InstructionKind::gather_start, .layer = bucket.layer, .bucket = static_cast<BucketId>(b)});
    }
    each_bucket([&](const Bucket& b) { return b.owner && gathers(b); }, InstructionKind::gather_wait);
    add_ties(stage, InstructionKind::tie_parameter);
  }
}

}  // namespace trellis
