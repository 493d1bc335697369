#include "run/optimizer/adamw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "run/kernels/parallel.h"
#include "run/kernels/support.h"
#include "run/optimizer/optimizer.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

struct Factors : AdamWFactors {
  double gradient_scale;
};

template <class C>
struct Pointers {
  C* parameter;
  const C* gradient;
  C *first, *second;
  Bf16* compute;
};

template <class C, bool kCopy>
TRELLIS_INLINE void update(const Factors& f, const Pointers<C>& p, C decay, std::int64_t begin, std::int64_t end) {
  const C one_minus_beta1 = C(f.one_minus_beta1), beta2 = C(f.beta2), one_minus_beta2 = C(f.one_minus_beta2);
  const C step_size = C(f.step_size), inverse_root = C(f.inverse_root), epsilon = C(f.epsilon),
          scale = C(f.gradient_scale);
  for (std::int64_t i = begin; i < end; ++i) {
    const C g = p.gradient[i] * scale;
    const C first = p.first[i] + one_minus_beta1 * (g - p.first[i]);
    const C second = beta2 * p.second[i] + one_minus_beta2 * g * g;
    const C value = p.parameter[i] * decay - step_size * first / (std::sqrt(second) * inverse_root + epsilon);
    p.first[i] = first, p.second[i] = second, p.parameter[i] = value;
    if constexpr (kCopy) store(p.compute[i], static_cast<float>(value));
  }
}

TRELLIS_CLONES void update_float(const Factors& f, const Pointers<float>& p, double decay, std::int64_t begin,
                                 std::int64_t end) {
  if (p.compute) update<float, true>(f, p, static_cast<float>(decay), begin, end);
  else update<float, false>(f, p, static_cast<float>(decay), begin, end);
}
TRELLIS_CLONES void update_double(const Factors& f, const Pointers<double>& p, double decay, std::int64_t begin,
                                  std::int64_t end) {
  if (p.compute) update<double, true>(f, p, decay, begin, end);
  else update<double, false>(f, p, decay, begin, end);
}

template <class C, class Update>
void step_of(const Factors& f, const AdamWShard& s, Update update) {
  const Pointers<C> p = {mutable_data<C>(s.parameter), data<C>(s.gradient), mutable_data<C>(s.first_moment),
                         mutable_data<C>(s.second_moment),
                         s.compute.defined() ? mutable_data<Bf16>(s.compute) : nullptr};
  parallel_for(s.parameter.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t border = std::clamp(s.decayed, begin, end);
    update(f, p, f.decay, begin, border);
    update(f, p, 1, border, end);
  });
}

constexpr std::int64_t kSumBlock = 4096;

template <class C>
TRELLIS_INLINE double square_of(const C* from, std::int64_t n) {
  return lane_sum<double>(n,
                          [&](std::int64_t i) { return static_cast<double>(from[i]) * static_cast<double>(from[i]); });
}
TRELLIS_CLONES double square_float(const float* from, std::int64_t n) { return square_of(from, n); }
TRELLIS_CLONES double square_double(const double* from, std::int64_t n) { return square_of(from, n); }

}  // namespace

AdamWFactors::AdamWFactors(const AdamW& o, std::int64_t step)
    : decay(1 - o.learning_rate * o.weight_decay),
      one_minus_beta1(1 - o.beta1),
      beta2(o.beta2),
      one_minus_beta2(1 - o.beta2),
      step_size(o.learning_rate / (1 - std::pow(o.beta1, static_cast<double>(step)))),
      inverse_root(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(step)))),
      epsilon(o.epsilon) {}

void check_shard(const AdamWShard& s, std::int64_t step) {
  const auto same = [&](const at::Tensor& t) {
    return t.defined() && t.is_contiguous() && t.numel() == s.parameter.numel() &&
           t.scalar_type() == s.parameter.scalar_type();
  };
  const bool real =
      s.parameter.defined() && (s.parameter.scalar_type() == at::kFloat || s.parameter.scalar_type() == at::kDouble);
  const bool copy = !s.compute.defined() || (s.compute.is_contiguous() && s.compute.numel() == s.parameter.numel() &&
                                             s.compute.scalar_type() == at::kBFloat16);
  if (!real || !same(s.parameter) || !same(s.gradient) || !same(s.first_moment) || !same(s.second_moment) || !copy)
    fail(ExitCode::failure, "AdamW needs contiguous tensors of one length, all f32 or all f64, and a bf16 copy");
  if (step < 1) fail(ExitCode::failure, "AdamW counts steps from 1; found {}", step);
}

void adamw_step(const AdamW& o, const AdamWShard& s, std::int64_t step, double gradient_scale) {
  check_shard(s, step);
  const Factors f = {AdamWFactors(o, step), gradient_scale};
  if (s.parameter.scalar_type() == at::kDouble) step_of<double>(f, s, update_double);
  else step_of<float>(f, s, update_float);
}

double sum_of_squares(const at::Tensor& flat) {
  const Real real = real_of(flat);
  if (real == Real::bf16 || !flat.is_contiguous())
    fail(ExitCode::failure, "a sum of squares needs contiguous f32 or f64");
  const std::int64_t n = flat.numel(), blocks = (n + kSumBlock - 1) / kSumBlock;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  parallel_for(blocks, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t at = block * kSumBlock, size = std::min(kSumBlock, n - at);
      sums[static_cast<std::size_t>(block)] =
          real == Real::f64 ? square_double(data<double>(flat) + at, size) : square_float(data<float>(flat) + at, size);
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

Optimizer::~Optimizer() = default;

namespace {

struct CpuOptimizer final : Optimizer {
  void adamw(const AdamW& settings, const AdamWShard& shard, std::int64_t step, double gradient_scale) const override {
    adamw_step(settings, shard, step, gradient_scale);
  }
  void add_squares(const at::Tensor& flat, const at::Tensor& total) const override {
    *mutable_data<double>(total) += sum_of_squares(flat);
  }
};

}  // namespace

std::shared_ptr<const Optimizer> make_cpu_optimizer() { return std::make_shared<CpuOptimizer>(); }

}  // namespace trellis
