#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

template <class T>
TRELLIS_INLINE void forward_range(T* y, const T* x, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  for (std::int64_t i = begin; i < end; ++i) {
    const C v = load(x[i]);
    store(y[i], v / (C(1) + fast_exp(-v)));
  }
}

template <class T>
TRELLIS_INLINE void backward_range(T* dx, const T* dy, const T* x, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  for (std::int64_t i = begin; i < end; ++i) {
    const C v = load(x[i]), s = C(1) / (C(1) + fast_exp(-v));
    store(dx[i], load(dy[i]) * (s + v * s * (C(1) - s)));
  }
}

TRELLIS_CLONES void forward_loop(Real real, void* y, const void* x, std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(real, T, forward_range(static_cast<T*>(y), static_cast<const T*>(x), begin, end))} TRELLIS_CLONES
    void backward_loop(Real real, void* dx, const void* dy, const void* x, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T,
                  backward_range(static_cast<T*>(dx), static_cast<const T*>(dy), static_cast<const T*>(x), begin, end))
}

struct Silu final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    map(forward_loop, prepare(c.output, x.sizes(), x.scalar_type()), x);
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& x = input(c, 0);
    map(backward_loop, gradient_slot(c, 0, x), output_gradient(c), x);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_silu() { return std::make_shared<Silu>(); }

}  // namespace trellis
