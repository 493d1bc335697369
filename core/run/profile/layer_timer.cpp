#include "run/profile/layer_timer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "run/executor/groups.h"
#include "run/executor/stage_runner.h"
#include "run/kernels/support.h"
#include "run/profile/any_values.h"
#include "run/profile/silent_world.h"
#include "trellis/run/data_source.h"

namespace trellis::profile {
namespace {

// Sets of parameters and activations take turns, as the layers of a model do, until together they are beyond a core's
// own caches.
constexpr std::int64_t kColdBytes = 16 << 20;
constexpr std::size_t kMostSets = 4;
constexpr std::int64_t kSweptBytes = 8 << 20;  // read and written in between: what the other layers do to the caches

Bytes bytes_of(const StageProgram& stage, Dtype dtype) {
  Bytes total{1};
  for (const Slot& s : stage.slots) total += s.bytes();
  for (const Bucket& b : stage.buckets) total += 2 * b.elements * size_of(dtype);
  return total;
}

}  // namespace

// Of a layer on its own the fields are cut by hand; only their number is asked for.
class AnyData final : public DataSource {
 public:
  explicit AnyData(std::int64_t batch) : batch_(batch) {}
  std::int64_t batch() const override { return batch_; }
  at::Tensor field(const FieldRequest&) const override { return {}; }
  std::int64_t counted_items(std::int64_t, std::string_view) const override { return batch_; }

 private:
  std::int64_t batch_;
};

struct LayerTimer::Clock {
  clockid_t id;
  const StageProgram& stage;
  const TimedWorld& world;
  KernelTimes& times;
  double last = 0, spent = 0;
  std::vector<double>* current = nullptr;

  void start() { current = nullptr, spent = world.spent(), last = seconds_of(id); }
  // What is freed after a kernel belongs to it.
  void after(const Instruction& i) {
    const double now = seconds_of(id);
    if (i.kind == InstructionKind::free) {
      if (current) current->back() += now - last;
    } else if (const std::string key = compute_key(stage, i); !key.empty()) {
      current = &times[key];
      current->push_back(now - last - (world.spent() - spent));  // communication inside a kernel is priced apart
    } else {
      current = nullptr;
    }
    spent = world.spent(), last = seconds_of(id);
  }
};

struct LayerTimer::Set {
  Set(const Measurement& m, const KernelLibrary& kernels, const OpLibrary& ops, at::TensorOptions device, CommWorld& world,
      std::uint64_t seed)
      : Set(m, kernels, ops, device, world, seed, world.rank() % m.stage->line.size()) {}
  Set(const Measurement& m, const KernelLibrary& kernels, const OpLibrary& ops, at::TensorOptions device, CommWorld& world,
      std::uint64_t seed, int rank)
      : store(*m.stage, rank, world.rank() - rank, m.context.dtype, device, world, seed),
        runner(*m.stage, m.context, kernels, ops, world, store, rank, world.rank() - rank, seed, device),
        micro_batch(runner.open(0)) {}

  ParameterStore store;
  StageRunner runner;
  MicroBatch micro_batch;
  std::vector<at::Tensor> fields, inputs, gradients;  // what it is given, before each pass
};

namespace {

// All groups of a line's ranks, and of those of the lines behind it.
std::vector<std::vector<int>> groups_of_lines(const Measurement& m, const OpLibrary& ops, int world) {
  CompiledPlan plan{.plan = {}, .context = m.context, .placements = {}, .stages = {}};
  plan.plan.devices = 1;  // no gradient norm
  const int line = m.stage->line.size();
  std::set<std::vector<int>> groups;
  plan.stages = {m.stage};
  for (const std::vector<int>& group : groups_of(plan, ops)) {
    if (!std::ranges::all_of(group, [line](int rank) { return 0 <= rank && rank < line; })) continue;  // of other stages
    for (int base = 0; base < world; base += line) {
      std::vector<int> shifted = group;
      for (int& rank : shifted) rank += base;
      groups.insert(std::move(shifted));
    }
  }
  return {groups.begin(), groups.end()};
}

}  // namespace

LayerTimer::LayerTimer(const Measurement& m, const KernelLibrary& kernels, const OpLibrary& ops, at::TensorOptions device,
                       bool alone_on_cores, CommWorld* world)
    : measurement_(m),
      device_(device),
      processor_time_(alone_on_cores),
      data_(std::make_unique<AnyData>(m.context.micro_batch)) {
  const int line = m.stage->line.size();
  if (!world || world->size() % line != 0) {
    silent_ = std::make_unique<SilentWorld>(line);
    world = silent_.get();
  } else if (line > 1) {
    world->create_groups(groups_of_lines(m, ops, world->size()));
  }
  world_ = std::make_unique<TimedWorld>(*world, processor_time_ ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
  const auto sets = static_cast<std::size_t>(
      std::clamp<std::int64_t>(kColdBytes / bytes_of(*m.stage, m.context.dtype).value + 1, 1, kMostSets));
  while (sets_.size() < sets)
    sets_.push_back(std::make_unique<Set>(m, kernels, ops, device, *world_, sets_.size()));
}

LayerTimer::~LayerTimer() = default;

namespace {

// The op that reads a field, and as which input: what it expects is what it gets.
at::Tensor any_field(const StageProgram& stage, SlotId field, const OpLibrary& ops, const at::TensorOptions& device) {
  for (const auto* list : {&stage.forward, &stage.backward})
    for (const Instruction& i : *list) {
      const auto place = std::ranges::find(i.in, field);
      if (i.op < 0 || place == i.in.end()) continue;
      const LayerSpec& spec = *stage.specs[static_cast<std::size_t>(i.layer)];
      const std::size_t input = static_cast<std::size_t>(place - i.in.begin()) - (i.kind == InstructionKind::forward ? 0 : 1);
      return any_values(stage, field, spec, spec.ops[static_cast<std::size_t>(i.op)], input, ops, device);
    }
  return at::zeros(stage.slots[static_cast<std::size_t>(field)].shape, device.dtype(at::kLong));
}

}  // namespace

void LayerTimer::feed(Set& set, const std::vector<SlotId>& slots, std::vector<at::Tensor>& sources) {
  const StageProgram& stage = *measurement_.stage;
  for (std::size_t k = 0; k < slots.size(); ++k) {
    if (slots[k] < 0) continue;
    const Slot& slot = stage.slots[static_cast<std::size_t>(slots[k])];
    if (sources.size() <= k) sources.resize(k + 1);
    if (!sources[k].defined())
      sources[k] = slot.field ? any_field(stage, slots[k], *measurement_.context.ops, device_)
                              : at::randn(slot.shape, device_.dtype(at::kFloat)).to(scalar_type(slot.dtype));
    // Its producer has just written it.
    set.micro_batch.slots[static_cast<std::size_t>(slots[k])] = sources[k].clone();
  }
}

double LayerTimer::run(LayerTimes& times) {
  const StageProgram& stage = *measurement_.stage;
  Clock clock{.id = processor_time_ ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
              .stage = stage,
              .world = *world_,
              .times = times.kernels};
  double passes = 0;
  const double start = seconds_of(CLOCK_MONOTONIC);
  const at::Tensor swept = at::zeros({kSweptBytes / 4}, at::kFloat);
  PassContext context{.data = data_.get()};
  for (const std::string& field : sets_.front()->runner.counted_fields()) context.loss_scales[field] = 1e-3;
  std::vector<SlotId> fields;
  for (const FieldUse& use : stage.fields) fields.push_back(use.slot);
  const auto pass = [&](Set& set, bool backward) {
    swept.add_(1);
    if (backward) {
      feed(set, stage.receive_gradient, set.gradients);
    } else {
      set.micro_batch = set.runner.open(0);
      feed(set, fields, set.fields);
      feed(set, stage.receive, set.inputs);
    }
    set.runner.observe([&](const Instruction& i) { clock.after(i); });
    const double begin = seconds_of(CLOCK_MONOTONIC);
    clock.start();
    if (backward) set.runner.backward(set.micro_batch, context);
    else set.runner.forward(set.micro_batch, context);
    passes += seconds_of(CLOCK_MONOTONIC) - begin;
  };
  // The first micro-batch of a step overwrites gradients, the others add to them: every second run does.
  if (runs_++ % 2 == 0)
    for (auto& set : sets_) set->store.begin_step();
  for (auto& set : sets_) pass(*set, false);
  for (auto set = sets_.rbegin(); set != sets_.rend(); ++set) pass(**set, true);
  times.passes.push_back(passes / static_cast<double>(sets_.size()));
  for (auto& [what, list] : world_->take())
    if (!silent_) times.moves[what].insert(times.moves[what].end(), list.begin(), list.end());
  return seconds_of(CLOCK_MONOTONIC) - start;
}

double mean(const std::vector<double>& times) {
  return times.empty() ? 0 : std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
}

double typical(std::vector<double> times) {
  if (times.empty()) return 0;
  std::ranges::sort(times);
  const double most = 3 * times[times.size() / 2];
  double sum = 0;
  std::size_t count = 0;
  for (const double t : times)
    if (t <= most) sum += t, ++count;
  return sum / static_cast<double>(count);
}

}  // namespace trellis::profile
