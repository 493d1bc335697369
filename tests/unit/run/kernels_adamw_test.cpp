#include "run/kernels/machine.h"
#include "run/optimizer/adamw.h"
#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

// The literal formula, over the whole and then masked: what torch.optim.AdamW does.
void plain_step(const AdamW& o, at::Tensor& p, const at::Tensor& g, at::Tensor& m, at::Tensor& v,
                const at::Tensor& decay, int step) {
  p = p * (1 - o.learning_rate * o.weight_decay * decay);
  m = o.beta1 * m + (1 - o.beta1) * g;
  v = o.beta2 * v + (1 - o.beta2) * g * g;
  const double c1 = 1 - std::pow(o.beta1, step), c2 = 1 - std::pow(o.beta2, step);
  p = p - o.learning_rate / c1 * m / (v.sqrt() / std::sqrt(c2) + o.epsilon);
}

TEST_CASE("three steps of AdamW are those of the plain formula, with a border of decay and clipping") {
  const AdamW options = {.learning_rate = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
  for (const auto type : {at::kDouble, at::kFloat}) {
    const std::int64_t n = 5003;
    AdamWShard shard;
    shard.parameter = random({n}).to(type), shard.decayed = 1234;
    shard.first_moment = at::zeros({n}, type), shard.second_moment = at::zeros({n}, type);
    shard.compute = at::empty({n}, at::kBFloat16);
    const at::Tensor decay = at::arange(n).lt(1234).to(at::kDouble);
    at::Tensor p = random({n}), m = at::zeros({n}, at::kDouble), v = at::zeros({n}, at::kDouble);
    for (int step = 1; step <= 3; ++step) {
      const at::Tensor g = random({n}, 20 + static_cast<std::uint64_t>(step));
      shard.gradient = g.to(type);
      adamw_step(options, shard, step, 0.5);
      plain_step(options, p, 0.5 * g, m, v, decay, step);
    }
    const double limit = type == at::kDouble ? 1e-14 : 1e-6;
    CHECK(difference(shard.parameter, p) < limit);
    CHECK(difference(shard.first_moment, m) < limit);
    CHECK(difference(shard.second_moment, v) < limit);
    CHECK(at::equal(shard.compute, shard.parameter.to(at::kFloat).to(at::kBFloat16)));
  }
}

TEST_CASE("AdamW agrees with LibTorch's fused one") {
  const std::int64_t n = 1000;
  AdamWShard shard = {random({n}), random({n}, 2), at::zeros({n}, at::kDouble), at::zeros({n}, at::kDouble), {}, n};
  Tensors p = {random({n})}, g = {random({n}, 2)}, m = {at::zeros({n}, at::kDouble)}, v = {at::zeros({n}, at::kDouble)};
  const Tensors steps = {at::ones({}, at::kFloat)};
  adamw_step({.learning_rate = 1e-2, .weight_decay = 0.1}, shard, 1, 1);
  at::_fused_adamw_(p, g, m, v, {}, steps, 1e-2, 0.9, 0.999, 0.1, 1e-8, false, false, {}, {});
  CHECK(difference(shard.parameter, p[0]) < 1e-12);
}

TEST_CASE("AdamW refuses shards that do not fit together, and a step before the first") {
  AdamWShard shard = {at::ones({4}), at::ones({4}), at::ones({4}), at::ones({5}), {}, 0};
  CHECK_THROWS_AS(adamw_step({}, shard, 1, 1), Error);
  shard.second_moment = at::ones({4});
  CHECK_THROWS_AS(adamw_step({}, shard, 0, 1), Error);
}

TEST_CASE("a sum of squares is exact where double is, in f32 and f64") {
  CHECK(sum_of_squares(at::full({10000}, 3.0, at::kFloat)) == 90000.0);
  CHECK(sum_of_squares(at::arange(1001, at::kDouble)) == 333833500.0);
  CHECK(sum_of_squares(at::empty({0})) == 0.0);
}

TEST_CASE("denormal numbers are flushed while asked for") {
  if (!set_flush_denormals(true)) return;
  volatile float tiny = 1e-30f;
  CHECK(tiny * 1e-10f == 0.0f);
  set_flush_denormals(false);
  CHECK(tiny * 1e-10f != 0.0f);
}

}  // namespace
}  // namespace trellis::test
