#include "run/executor/parameter_store.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "plan/weights/weight_reader.h"
#include "run/executor/initial_weights.h"
#include "run/kernels/support.h"
#include "run/memory/memory_counter.h"

namespace trellis {

at::Tensor BucketState::shard_of(const at::Tensor& whole) const {
  return whole.narrow(0, shard_index * bucket->shard(), bucket->shard());
}

at::Tensor ParameterStore::view(const Bucket& bucket, int position, const at::Tensor& flat) {
  const auto p = static_cast<std::size_t>(position);
  return flat.narrow(0, bucket.offsets[p], elements(bucket.shapes[p])).view(bucket.shapes[p]);
}

namespace {

at::Tensor zeros_of(const Bucket& bucket, bool split, const at::TensorOptions& options) {
  return at::zeros({split ? bucket.shard() : bucket.elements}, options);
}

}  // namespace

ParameterStore::ParameterStore(const StageProgram& stage, int line_rank, int base, Dtype dtype, const at::TensorOptions& device,
                               CommWorld& world, std::uint64_t seed, const WeightReader* weights)
    : dtype_(dtype) {
  const auto options = device.dtype(scalar_type(dtype)), gradient = device.dtype(scalar_type(gradient_dtype(dtype)));
  for (const Bucket& bucket : stage.buckets) {
    BucketState& state = buckets_.emplace_back();
    state.bucket = &bucket;
    state.shard_index = stage.line.index(line_rank, bucket.axes);
    if (bucket.degree > 1) {
      std::vector<int> group = stage.line.group(line_rank, bucket.axes);
      for (int& r : group) r += base;
      state.comm = &world.group(group);
    }
    {
      const CountMemory scope(Purpose::parameter);
      state.storage = zeros_of(bucket, bucket.split_storage, options);
    }
    if (bucket.owner && dtype == Dtype::bf16) {
      const CountMemory scope(Purpose::optimizer);
      state.master = zeros_of(bucket, bucket.split_optimizer, gradient);
    }
    if (weights) read(stage, state, line_rank, *weights, seed);
    else initialize(stage, state, line_rank, seed);
  }
  // After the initial weights, which are made in f64: so they are no peak beyond that of a step.
  for (BucketState& state : buckets_) {
    const Bucket& bucket = *state.bucket;
    {
      const CountMemory scope(Purpose::gradient);
      state.gradient = zeros_of(bucket, bucket.split_gradient, gradient);
    }
    if (bucket.owner) {
      const CountMemory scope(Purpose::optimizer);
      state.first_moment = zeros_of(bucket, bucket.split_optimizer, gradient);
      state.second_moment = zeros_of(bucket, bucket.split_optimizer, gradient);
    }
    for (int p = 0; p < static_cast<int>(bucket.parameters.size()); ++p) {
      state.parameters.push_back(bucket.split_storage ? at::Tensor() : view(bucket, p, state.storage));
      state.gradients.push_back(bucket.split_gradient ? at::Tensor() : view(bucket, p, state.gradient));
    }
  }
}

void ParameterStore::initialize(const StageProgram& stage, BucketState& state, int line_rank, std::uint64_t seed) {
  const Bucket& bucket = *state.bucket;
  const LayerSpec& spec = *stage.specs[static_cast<std::size_t>(bucket.layer)];
  at::Tensor whole = at::zeros({bucket.elements}, at::kDouble);
  for (int p = 0; p < static_cast<int>(bucket.parameters.size()); ++p) {
    const Parameter& parameter = spec.parameters[static_cast<std::size_t>(bucket.parameters[static_cast<std::size_t>(p)])];
    const Shape global = spec.shape(parameter.dims, 0);
    const Box box = local_box(global, bucket.layouts[static_cast<std::size_t>(p)], stage.line, line_rank);
    fill_initial(parameter, full_name(stage.first_layer + bucket.layer, parameter), seed, global, box, view(bucket, p, whole));
  }
  state.storage.copy_(bucket.split_storage ? state.shard_of(whole) : whole);
  if (state.master.defined()) state.master.copy_(bucket.split_optimizer ? state.shard_of(whole) : whole);
}

// Of a bucket whose storage is split only the shard is read: nobody else's bytes leave the files.
void ParameterStore::read(const StageProgram& stage, BucketState& state, int line_rank, const WeightReader& weights,
                          std::uint64_t seed) {
  const Bucket& bucket = *state.bucket;
  const LayerSpec& spec = *stage.specs[static_cast<std::size_t>(bucket.layer)];
  const std::int64_t begin = bucket.split_storage ? state.shard_index * bucket.shard() : 0;
  const std::int64_t end = bucket.split_storage ? begin + bucket.shard() : bucket.elements;
  at::Tensor held = at::zeros({end - begin}, at::kDouble);
  for (std::size_t p = 0; p < bucket.parameters.size(); ++p) {
    const Parameter& parameter = spec.parameters[static_cast<std::size_t>(bucket.parameters[p])];
    const Shape global = spec.shape(parameter.dims, 0);
    const Box box = local_box(global, bucket.layouts[p], stage.line, line_rank);
    const std::int64_t offset = bucket.offsets[p];
    const std::int64_t first = std::max(begin, offset), last = std::min(end, offset + elements(box));
    if (first >= last) continue;
    const std::string name = full_name(stage.first_layer + bucket.layer, parameter);
    if (weights.has(name)) {
      weights.read(name, box, first - offset, last - offset, held.data_ptr<double>() + (first - begin));
      continue;
    }
    const at::Tensor whole = at::zeros({elements(box)}, at::kDouble);
    fill_initial(parameter, name, seed, global, box, whole);
    held.narrow(0, first - begin, last - first).copy_(whole.narrow(0, first - offset, last - first));
  }
  state.storage.copy_(held);
  if (!state.master.defined()) return;
  const bool has_shard = bucket.split_storage || !bucket.split_optimizer;
  state.master.copy_(has_shard ? held : state.shard_of(held));
}

void ParameterStore::begin_step() {
  for (BucketState& state : buckets_) {
    state.written.assign(state.bucket->parameters.size(), false);
    state.shard_written = false;
  }
}

}  // namespace trellis
