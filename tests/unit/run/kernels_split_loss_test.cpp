#include <mutex>

#include "trellis/run/comm.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

TEST_CASE(
    "the loss over a split vocabulary is that of the whole, and its gradients are pieces and partial sums of it") {
  LayerBuilder b("layer", block_dims());
  const ValueId hidden = b.input("x", {"batch", "seq", "hidden"});
  b.loss(b.cross_entropy("loss", hidden, b.field("labels", {"batch", "seq"}), "vocab", 19, 0.02));
  LayerSpec layer = b.build();
  layer.ops.at(0).attributes["chunk"] = std::int64_t{10};

  // Three ranks of ten rows, of which 19 exist: the second rank has one padded row, the third nothing else.
  const at::Tensor x = random({2, 24, 40}), w = random({30, 40}, 2),
                   labels = at::arange(48, at::kLong).remainder(19).view({2, 24});
  labels[1][7] = -100;
  const at::Tensor leaf_x = x.clone().requires_grad_(), leaf_w = w.clone().requires_grad_();
  const at::Tensor logits = at::linear(leaf_x.view({48, 40}), leaf_w.narrow(0, 0, 19));
  const at::Tensor loss = at::cross_entropy_loss(logits, labels.view({48}), {}, at::Reduction::Sum, -100) / 47;
  loss.backward();

  const auto right = at::argmax(logits, -1).eq(labels.view({48})).sum().item<std::int64_t>();

  std::mutex mutex;
  at::Tensor dx = at::zeros({2, 24, 40}, at::kDouble);
  run_threads(3, true, [&](CommWorld& world) {
    const std::int64_t begin = 10 * world.rank();
    OneOp one(layer, 2, Dtype::f64);
    one.cut("vocab", begin, 10);
    one.sizes.axes[static_cast<std::size_t>(one.dim("vocab"))] = {0};
    one.c.inner[{0}] = &world.world();
    one.c.loss_scale = 1.0 / 47;
    one.give({x, labels}, {w.narrow(0, begin, 10).contiguous()});
    std::vector<CommRecord> records;
    world.record(&records);
    one.forward();
    world.record(nullptr);
    const std::lock_guard lock(mutex);
    CHECK(records.size() == 5);  // 48 tokens in chunks of ten
    CHECK(records.at(0).kind == MoveKind::all_gather);
    CHECK(records.at(0).bytes == Bytes(2 * 3 * 10 * 8));
    CHECK(difference(one.c.output, loss.detach()) < 1e-12);
    CHECK(one.c.right == right);
    CHECK(difference(one.c.parameter_gradients[0] - 1, leaf_w.grad().narrow(0, begin, 10)) < 1e-12);
    dx += one.c.extras[0];
  });
  CHECK(difference(dx, leaf_x.grad()) < 1e-12);
}

}  // namespace
}  // namespace trellis::test
