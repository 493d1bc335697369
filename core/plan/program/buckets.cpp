// Parameters in buckets keyed by their reduction axes (derivation rule 8), gathered and reduced where the program says.
#include <algorithm>
#include <utility>

#include "plan/program/derivation.h"
#include "trellis/plan/error.h"

namespace trellis::derivation {
namespace {

class Buckets {
 public:
  Buckets(const Draft& draft, const Placement& placement, LayerProgram& program)
      : d_(draft), placement_(placement), program_(program) {}

  void run() {
    assign();
    for (Bucket& bucket : program_.buckets) lay_out(bucket);
    for (BucketId b = 0; b < static_cast<BucketId>(program_.buckets.size()); ++b) {
      if (bucket(b).split_storage) gather(b, program_.forward), gather(b, program_.backward);
      reduce(b);
    }
  }

 private:
  Bucket& bucket(BucketId b) { return program_.buckets[static_cast<std::size_t>(b)]; }

  void assign() {
    bucket_of_.assign(d_.spec.parameters.size(), -1);
    layout_of_.assign(d_.spec.parameters.size(), nullptr);
    for (std::size_t i = 0; i < d_.spec.ops.size(); ++i) {
      const Op& op = d_.spec.ops[i];
      for (std::size_t k = 0; k < op.parameters.size(); ++k) {
        const auto p = static_cast<std::size_t>(op.parameters[k]);
        const Parameter& parameter = d_.spec.parameters[p];
        const BucketId mine = bucket_with(d_.ops[i].reduction[k], d_.ops[i].placed.contract->once(), parameter.shared);
        if (bucket_of_[p] >= 0) {
          if (bucket_of_[p] != mine)
            fail(ExitCode::infeasible, "{}: parameter {} is used twice with different reduction axes", d_.spec.type, parameter.name);
          continue;
        }
        bucket_of_[p] = mine;
        layout_of_[p] = &d_.ops[i].placed.parameters[k];
        bucket(mine).parameters.push_back(op.parameters[k]);
      }
    }
  }

  // Gradients that are made in forward are reduced apart from those that backward makes.
  BucketId bucket_with(const AxisList& axes, bool in_forward, const std::string& shared) {
    for (std::size_t b = 0; b < in_forward_.size(); ++b)
      if (program_.buckets[b].axes == axes && in_forward_[b] == in_forward && program_.buckets[b].shared == shared)
        return static_cast<BucketId>(b);
    program_.buckets.push_back({.axes = axes, .shared = shared});
    in_forward_.push_back(in_forward);
    return static_cast<BucketId>(in_forward_.size()) - 1;
  }

  void lay_out(Bucket& b) {
    auto decays = [this](ParameterId p) { return d_.spec.parameters[static_cast<std::size_t>(p)].weight_decay; };
    std::stable_partition(b.parameters.begin(), b.parameters.end(), decays);
    for (ParameterId p : b.parameters) {
      const Parameter& parameter = d_.spec.parameters[static_cast<std::size_t>(p)];
      b.layouts.push_back(*layout_of_[static_cast<std::size_t>(p)]);
      b.shapes.push_back(local_shape(d_.spec.shape(parameter.dims, 0), b.layouts.back(), d_.line()));
      b.offsets.push_back(b.elements);
      b.elements += trellis::elements(b.shapes.back());
      if (decays(p)) b.decayed = b.elements;
    }
    b.degree = d_.line().degree(b.axes);
    b.elements = (b.elements + b.degree - 1) / b.degree * b.degree;
    if (b.degree == 1) return;
    b.split_optimizer = placement_.splits(Life::optimizer);
    b.split_gradient = placement_.splits(Life::gradient);
    b.split_storage = placement_.splits(Life::storage);
    if (b.split_storage) b.gathered = flat_slot("parameters", b, d_.context.dtype, Purpose::parameter);
    if (b.split_gradient) b.open = flat_slot("parameter gradients", b, gradient_dtype(d_.context.dtype), Purpose::gradient);
  }

  SlotId flat_slot(std::string name, const Bucket& b, Dtype dtype, Purpose purpose) {
    program_.slots.push_back({.name = std::move(name), .shape = {b.elements}, .dtype = dtype, .layout = replicated(1),
                                .global = {b.elements}, .purpose = purpose});
    return static_cast<SlotId>(program_.slots.size()) - 1;
  }

  bool has_parameter_in(int op, BucketId b) const {
    if (op < 0) return false;
    const auto& parameters = d_.spec.ops[static_cast<std::size_t>(op)].parameters;
    return std::ranges::any_of(parameters, [&](ParameterId p) { return bucket_of_[static_cast<std::size_t>(p)] == b; });
  }
  bool reads(const Instruction& i, BucketId b) const {
    if (i.kind == InstructionKind::forward) return has_parameter_in(i.op, b) || has_parameter_in(i.fused, b);
    return (i.kind == InstructionKind::input_gradient || i.kind == InstructionKind::backward) && has_parameter_in(i.op, b);
  }
  bool adds_gradient(const Instruction& i, BucketId b) const {
    if (!has_parameter_in(i.op, b)) return false;
    if (i.kind == InstructionKind::forward) return d_.ops[static_cast<std::size_t>(i.op)].placed.contract->once();
    return i.kind == InstructionKind::weight_gradient || i.kind == InstructionKind::backward;
  }

  template <class Test>
  static std::pair<int, int> first_and_last(const Instructions& list, const Test& test) {
    int first = -1, last = -1;
    for (int i = 0; i < static_cast<int>(list.size()); ++i)
      if (test(list[static_cast<std::size_t>(i)])) first = first < 0 ? i : first, last = i;
    return {first, last};
  }

  void gather(BucketId b, Instructions& list) {
    const auto [first, last] = first_and_last(list, [&](const Instruction& i) { return reads(i, b); });
    if (first < 0) return;
    const SlotId slot = bucket(b).gathered;
    for (Instruction& i : list)
      if (reads(i, b)) i.uses.push_back(slot);
    const std::string because = "the storage of these parameters is split (ZeRO-3)";
    list.insert(list.begin() + first, {{.kind = InstructionKind::gather_start, .out = {slot}, .bucket = b, .because = because},
                                       {.kind = InstructionKind::gather_wait, .out = {slot}, .bucket = b}});
  }

  // ZeRO 2 and 3 reduce every micro-batch into the shard; else once a step, when the last gradient has been added.
  void reduce(BucketId b) {
    Bucket& mine = bucket(b);
    if (mine.degree == 1) return;
    const auto test = [&](const Instruction& i) { return adds_gradient(i, b); };
    Instructions* list = &program_.backward;
    auto [first, last] = first_and_last(*list, test);
    const auto [forward_first, forward_last] = first_and_last(program_.forward, test);
    if (first < 0) list = &program_.forward, first = forward_first, last = forward_last;
    if (first < 0) return;
    if (mine.split_gradient)
      for (Instruction& i : *list)
        if (adds_gradient(i, b)) i.uses.push_back(mine.open);
    Instruction start{.kind = InstructionKind::reduce_start, .bucket = b, .last_only = !mine.split_gradient,
                      .because = "each device has the gradient of its own samples or positions only"};
    if (mine.split_gradient) start.in = {mine.open};
    list->insert(list->begin() + last + 1, start);
    if (!mine.split_gradient) return;
    list->push_back({.kind = InstructionKind::reduce_wait, .in = {mine.open}, .bucket = b});
    list->insert(list->begin() + first, {.kind = InstructionKind::open_gradient, .out = {mine.open}, .bucket = b});
  }

  const Draft& d_;
  const Placement& placement_;
  LayerProgram& program_;
  std::vector<BucketId> bucket_of_;       // by parameter
  std::vector<const Layout*> layout_of_;  // by parameter
  std::vector<bool> in_forward_;          // by bucket
};

}  // namespace

void derive_buckets(const Draft& draft, const Placement& placement, LayerProgram& program) {
  Buckets(draft, placement, program).run();
}

}  // namespace trellis::derivation
