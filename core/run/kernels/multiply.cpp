#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

template <class T>
TRELLIS_INLINE void multiply_range(T* z, const T* x, const T* y, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) store(z[i], load(x[i]) * load(y[i]));
}

TRELLIS_CLONES void multiply_loop(Real real, void* z, const void* x, const void* y, std::int64_t begin,
                                  std::int64_t end) {
  TRELLIS_BY_REAL(real, T,
                  multiply_range(static_cast<T*>(z), static_cast<const T*>(x), static_cast<const T*>(y), begin, end))
}

struct Multiply final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    map(multiply_loop, prepare(c.output, x.sizes(), x.scalar_type()), x, input(c, 1));
  }
  void backward(KernelContext& c) const override {
    const at::Tensor& dy = output_gradient(c);
    if (wants(c, 0)) map(multiply_loop, gradient_slot(c, 0, dy), dy, input(c, 1));
    if (wants(c, 1)) map(multiply_loop, gradient_slot(c, 1, dy), dy, input(c, 0));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_multiply() { return std::make_shared<Multiply>(); }

}  // namespace trellis
