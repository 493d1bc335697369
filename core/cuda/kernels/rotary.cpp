#include <ATen/ops/from_blob.h>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"
#include "trellis/plan/rotary.h"

namespace trellis::cuda {
namespace {

// The rotate-half convention: i is paired with i + d / 2. A negative position (padding) is not rotated.
class Rotary final : public OpKernel {
 public:
  void forward(KernelContext& c) const override { rotate(c, prepare_like(c.output, input(c, 0)), input(c, 0), 1); }
  void input_gradient(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    rotate(c, gradient_slot(c, 0, dy), dy, -1);
  }
  void weight_gradient(KernelContext&) const override {}  // there are no parameters

 private:
  // Angles are computed in double, since positions times frequencies are large.
  static void rotate(const KernelContext& c, const at::Tensor& y, const at::Tensor& x, double sign) {
    const at::Tensor positions = input(c, 1).view({-1, 1});
    const std::int64_t tokens = positions.size(0), width = x.size(-1), half = width / 2;
    if (tokens == 0) return;
    if (width % 2) fail("op '{}': rotary needs an even head dim; found {}", c.op->name, width);
    std::vector<double> frequencies = rotary_frequencies(*c.op, half);
    const at::Tensor turn = at::from_blob(frequencies.data(), {half}, at::kDouble).to(x.device());
    const at::Tensor angle = positions.clamp_min(0).to(at::kDouble).mul(turn);
    const at::Tensor cosine = angle.cos().to(compute_type(c)).unsqueeze(1);
    const at::Tensor sine = angle.sin().mul_(sign).to(compute_type(c)).unsqueeze(1);
    const std::int64_t heads = x.numel() / (tokens * width);
    const at::Tensor from = x.view({tokens, heads, 2, half}), to = y.view({tokens, heads, 2, half});
    const at::Tensor a = from.select(2, 0), b = from.select(2, 1);
    to.select(2, 0).copy_(a.mul(cosine).sub_(b.mul(sine)));
    to.select(2, 1).copy_(b.mul(cosine).add_(a.mul(sine)));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_rotary() { return std::make_shared<Rotary>(); }

}  // namespace trellis::cuda
