// Loss, embedding, and what an update does.
#include "run/optimizer/optimizer.h"
#include "unit/cuda/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec loss_layer(std::int64_t real_vocab) {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "hidden"});
  b.loss(b.cross_entropy("loss", x, b.field("labels", {"batch", "seq"}), "vocab", real_vocab, 0.02));
  LayerSpec layer = b.build();
  layer.ops.at(0).attributes["chunk"] = std::int64_t{10};  // 48 tokens: four whole chunks and one of eight
  return layer;
}
at::Tensor some_labels() {
  const at::Tensor labels = at::arange(48, at::kLong).mul(7).remainder(27).view({2, 24});
  labels[0][3] = labels[1][0] = -100;
  return labels;
}

TEST_CASE("the loss on CUDA and its gradients are those on the CPU") {
  const OpCase test{.layer = loss_layer(27),
                    .inputs = {random({2, 24, 40}), some_labels()},
                    .parameters = {random({30, 40}, 2)},
                    .has_backward = false,
                    .slack = 2};
  for (const bool fresh : {false, true}) {
    OpCase one = test;
    one.prepare = [fresh](OneOp& op) {
      op.c.loss_scale = 1.0 / 46;
      op.c.fresh = {fresh};
    };
    compare(one);
  }
}

TEST_CASE("a validation pass on CUDA computes the loss alone") {
  OneOp gpu(loss_layer(27), 2, Dtype::f64), cpu(loss_layer(27), 2, Dtype::f64);
  for (OneOp* one : {&cpu, &gpu}) {
    one->give({random({2, 24, 40}), some_labels()}, {random({30, 40}, 2)});
    one->c.parameter_gradients.clear();
  }
  to_device(gpu.c.inputs), to_device(gpu.c.parameters);
  cuda_kernels().find("cross_entropy").forward(gpu.c);
  same(gpu.c.output, cpu.forward(), 1e-12);
  CHECK(gpu.c.right == cpu.c.right);
  CHECK(gpu.c.extras.empty());
}

TEST_CASE("a label or an id that has no row is refused on CUDA, too") {
  OneOp loss(loss_layer(27), 2, Dtype::f32);
  loss.give({random({2, 24, 40}), at::full({2, 24}, 28, at::kLong)}, {random({30, 40})});
  to_device(loss.c.inputs), to_device(loss.c.parameters), to_device(loss.c.parameter_gradients);
  CHECK_THROWS_WITH_AS(cuda_kernels().find("cross_entropy").forward(loss.c),
                       doctest::Contains("label 28 is not below the vocabulary of 27"), Error);
}

// Gives what the other ranks of a group gave, as if they were there.
class Recorded final : public Comm {
 public:
  Recorded(int rank, Tensors parts) : rank_(rank), parts_(std::move(parts)) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(parts_.size()); }
  WorkPtr all_gather(at::Tensor out, at::Tensor in) override {
    parts_[static_cast<std::size_t>(rank_)] = in;
    for (std::size_t r = 0; r < parts_.size(); ++r) {
      if (!parts_[r].defined()) parts_[r] = at::zeros_like(in);
      out.narrow(0, static_cast<std::int64_t>(r) * in.numel(), in.numel()).copy_(parts_[r]);
    }
    return done();
  }
  WorkPtr reduce_scatter(at::Tensor, at::Tensor) override { return done(); }
  WorkPtr all_reduce(at::Tensor) override { return done(); }
  WorkPtr all_to_all(at::Tensor, at::Tensor) override { return done(); }
  WorkPtr broadcast(at::Tensor, int) override { return done(); }
  WorkPtr send(at::Tensor, int, int) override { return done(); }
  WorkPtr receive(at::Tensor, int, int) override { return done(); }
  void barrier() override {}

 private:
  struct Done final : Work {
    void wait() override {}
  };
  static WorkPtr done() { return std::make_unique<Done>(); }
  int rank_;
  Tensors parts_;
};

TEST_CASE("with half of the vocabulary, the loss on CUDA joins statistics as the CPU does") {
  const at::Tensor x = random({2, 24, 40}), table = random({30, 40}, 2);
  const AxisList axes = {0};
  // Two half tables; the second holds 12 rows that exist and 3 of padding. One chunk, so that one gather is recorded.
  for (const int rank : {0, 1}) {
    OpCase test{.layer = loss_layer(27),
                .inputs = {x, some_labels()},
                .parameters = {table.narrow(0, 15 * rank, 15).contiguous()},
                .has_backward = false,
                .dtypes = {Dtype::f64},
                .slack = 2};
    test.layer.ops.at(0).attributes["chunk"] = std::int64_t{100};
    std::vector<std::unique_ptr<Recorded>> comms;
    test.prepare = [&](OneOp& one) {
      one.cut("vocab", 15 * rank, 15);
      one.sizes.axes[static_cast<std::size_t>(one.dim("vocab"))] = axes;
      comms.push_back(std::make_unique<Recorded>(rank, Tensors(2)));
      one.c.inner[axes] = comms.back().get();
    };
    compare(test);
  }
}

LayerSpec embedding_layer(std::int64_t untrained = -1) {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.embedding("table", b.field("ids", {"batch", "seq"}), "vocab", std::string(kLinear), 0.02, {}, untrained));
  return b.build();
}

TEST_CASE("an embedding on CUDA is that on the CPU, whole or a piece of the table") {
  const at::Tensor ids = at::arange(48, at::kLong).remainder(30).view({2, 24}), table = random({30, 40});
  ids[0][5] = -1;
  compare({.layer = embedding_layer(), .inputs = {ids}, .parameters = {table}});
  compare({.layer = embedding_layer(12), .inputs = {ids}, .parameters = {table}});
  for (const std::int64_t begin : {0, 10, 20})
    compare({.layer = embedding_layer(12),
             .inputs = {ids},
             .parameters = {table.narrow(0, begin, 10).contiguous()},
             .prepare = [begin](OneOp& one) { one.cut("vocab", begin, 10); }});
}

TEST_CASE("AdamW on CUDA is that on the CPU, with a border of decay, clipping and a copy in bf16") {
  const AdamW options = {.learning_rate = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
  for (const auto type : {at::kDouble, at::kFloat}) {
    const std::int64_t n = 70001;
    const auto shard_on = [&](at::Device where) {
      return AdamWShard{random({n}).to(type).to(where),          {},
                        at::zeros({n}, type).to(where),          at::zeros({n}, type).to(where),
                        at::empty({n}, at::kBFloat16).to(where), 12345};
    };
    AdamWShard cpu = shard_on(at::kCPU), gpu = shard_on(device());
    for (int step = 1; step <= 3; ++step) {
      cpu.gradient = random({n}, 20 + static_cast<std::uint64_t>(step)).to(type);
      gpu.gradient = cpu.gradient.to(device());
      adamw_step(options, cpu, step, 0.5);
      cuda_kernels().optimizer().adamw(options, gpu, step, 0.5);
    }
    const double limit = type == at::kDouble ? 1e-14 : 1e-6;
    CHECK(difference(gpu.parameter.cpu(), cpu.parameter) < limit);
    CHECK(difference(gpu.first_moment.cpu(), cpu.first_moment) < limit);
    CHECK(difference(gpu.second_moment.cpu(), cpu.second_moment) < limit);
    CHECK(at::equal(gpu.compute, gpu.parameter.to(at::kFloat).to(at::kBFloat16)));
  }
}

TEST_CASE("sums of squares on CUDA add up, and are the same each time") {
  const Optimizer& optimizer = cuda_kernels().optimizer();
  for (const std::int64_t n : {0, 1, 255, 16384, 16385, 1000003}) {
    CAPTURE(n);
    const at::Tensor flat = random({n}).to(at::kFloat), here = flat.to(device());
    const at::Tensor first = at::full({1}, 2.0, at::kDouble).to(device()), second = first.clone();
    optimizer.add_squares(here, first), optimizer.add_squares(here, second);
    CHECK(first.item<double>() == doctest::Approx(2.0 + sum_of_squares(flat)).epsilon(1e-12));
    CHECK(first.item<double>() == second.item<double>());
  }
}

}  // namespace
}  // namespace trellis::test
