#include "run/optimizer/optimizer.h"

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"

namespace trellis::cuda {
namespace {

struct CudaOptimizer final : Optimizer {
  void adamw(const AdamW& o, const AdamWShard& s, std::int64_t step, double gradient_scale) const override {
    check_shard(s, step);
    const AdamWFactors f(o, step);
    run(place_of(s.parameter),
        AdamWLoop{element_of(s.parameter), s.parameter.mutable_data_ptr(), s.gradient.const_data_ptr(),
                  s.first_moment.mutable_data_ptr(), s.second_moment.mutable_data_ptr(), pointer(s.compute),
                  s.parameter.numel(), s.decayed, f.decay, f.one_minus_beta1, f.beta2, f.one_minus_beta2, f.step_size,
                  f.inverse_root, f.epsilon, gradient_scale});
  }

  void add_squares(const at::Tensor& flat, const at::Tensor& total) const override {
    if (!flat.is_contiguous() || flat.scalar_type() == at::kBFloat16 || total.scalar_type() != at::kDouble ||
        total.device() != flat.device())
      fail(ExitCode::failure, "a sum of squares needs contiguous f32 or f64, and a double beside it");
    SquaresLoop loop{element_of(flat), flat.const_data_ptr(), flat.numel(), nullptr, mutable_data<double>(total)};
    const at::Tensor sums = at::empty({loop.blocks()}, total.options());
    loop.sums = mutable_data<double>(sums);
    run(place_of(flat), loop);
  }
};

}  // namespace

std::shared_ptr<const Optimizer> make_optimizer() { return std::make_shared<CudaOptimizer>(); }

}  // namespace trellis::cuda
