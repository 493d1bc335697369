#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

// 0.5 x (1 + tanh(u)) is x sigmoid(2 u), which cancels nowhere.
constexpr double kTwoRoot = 1.5957691216057308;  // 2 sqrt(2 / pi)
constexpr double kCubic = 0.044715;

template <class C>
TRELLIS_INLINE C gate(C x) {
  return C(1) / (C(1) + fast_exp(-C(kTwoRoot) * x * (C(1) + C(kCubic) * x * x)));
}

template <class T>
TRELLIS_INLINE void forward_range(T* y, const T* x, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const Compute<T> v = load(x[i]);
    store(y[i], v * gate(v));
  }
}

template <class T>
TRELLIS_INLINE void backward_range(T* dx, const T* dy, const T* x, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  for (std::int64_t i = begin; i < end; ++i) {
    const C v = load(x[i]), s = gate(v);
    const C slope = C(kTwoRoot) * (C(1) + C(3 * kCubic) * v * v);
    store(dx[i], load(dy[i]) * (s + v * s * (C(1) - s) * slope));
  }
}

TRELLIS_CLONES void forward_loop(Real real, void* y, const void* x, std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(real, T, forward_range(static_cast<T*>(y), static_cast<const T*>(x), begin, end))} TRELLIS_CLONES
    void backward_loop(Real real, void* dx, const void* dy, const void* x, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T,
                  backward_range(static_cast<T*>(dx), static_cast<const T*>(dy), static_cast<const T*>(x), begin, end))
}

// ATen's tanh form takes four times as long as its erf form; ours is as fast as the latter.
struct Gelu final : OpKernel {
  static bool own(const KernelContext& c) { return c.op->integer("tanh") && c.dtype != Dtype::f64; }
  static c10::string_view form(const KernelContext& c) { return c.op->integer("tanh") ? "tanh" : "none"; }

  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::Tensor& y = prepare(c.output, x.sizes(), x.scalar_type());
    if (own(c)) map(forward_loop, y, x);
    else at::gelu_out(y, x, form(c));
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& x = input(c, 0);
    at::Tensor& dx = gradient_slot(c, 0, x);
    if (own(c)) map(backward_loop, dx, output_gradient(c), x);
    else at::gelu_backward_out(dx, output_gradient(c), x, form(c));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_gelu() { return std::make_shared<Gelu>(); }

}  // namespace trellis
