#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

template <class T>
TRELLIS_INLINE void add_range(T* z, const T* x, const T* y, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) store(z[i], load(x[i]) + load(y[i]));
}

TRELLIS_CLONES void add_loop(Real real, void* z, const void* x, const void* y, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T,
                  add_range(static_cast<T*>(z), static_cast<const T*>(x), static_cast<const T*>(y), begin, end))
}

struct Add final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    map(add_loop, prepare(c.output, x.sizes(), x.scalar_type()), x, input(c, 1));
  }
  void input_gradient(KernelContext& c) const override { c.input_gradients.assign(2, output_gradient(c)); }
  void weight_gradient(KernelContext&) const override {}  // there are no parameters
};

}  // namespace

std::shared_ptr<const OpKernel> make_add() { return std::make_shared<Add>(); }

}  // namespace trellis
