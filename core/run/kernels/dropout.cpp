#include <algorithm>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/philox.h"

namespace trellis {
namespace {

template <class T>
TRELLIS_INLINE void mask_range(T* y, const T* x, const std::uint32_t* words, std::uint32_t threshold, double scale,
                               std::int64_t n) {
  using C = Compute<T>;
  for (std::int64_t i = 0; i < n; ++i) {
    const C v = load(x[i]) * C(scale);
    store(y[i], words[i] >= threshold ? v : C(0));
  }
}

TRELLIS_CLONES void mask_loop(Real real, void* y, const void* x, std::int64_t at, const std::uint32_t* words,
                              std::uint32_t threshold, double scale, std::int64_t n) {
  TRELLIS_BY_REAL(real, T,
                  mask_range(static_cast<T*>(y) + at, static_cast<const T*>(x) + at, words, threshold, scale, n))
}

// How the local elements lie in the sample: runs of consecutive global indices. An index within the sample is position
// times features plus feature, over global sizes; the first dim is the batch.
class Runs {
 public:
  explicit Runs(const KernelContext& c) {
    const auto& dims = output_dims(c);
    std::int64_t stride = 1;
    bool whole = true;  // all inner dims are here entirely
    for (std::size_t i = dims.size(); i-- > 1;) {
      const auto d = static_cast<std::size_t>(dims[i]);
      const std::int64_t local = c.size(dims[i]), global = std::max(local, c.layer->dims[d].size);
      const std::int64_t start = d < c.offset.size() ? c.offset[d] : 0;
      first_ += static_cast<std::uint64_t>(start * stride);
      if (whole) length_ *= local;
      else outer_.push_back({local, stride}), runs_ *= local;
      whole = whole && local == global;
      stride *= global;
    }
  }
  std::int64_t length() const { return length_; }
  std::int64_t in_sample() const { return runs_; }
  std::uint64_t first(std::int64_t run) const {  // index in the sample of a run's first element
    std::uint64_t index = first_;
    for (const auto& [size, stride] : outer_) {
      index += static_cast<std::uint64_t>(run % size * stride);
      run /= size;
    }
    return index;
  }

 private:
  struct Outer {
    std::int64_t size, stride;
  };
  std::vector<Outer> outer_;  // innermost first
  std::int64_t length_ = 1, runs_ = 1;
  std::uint64_t first_ = 0;
};

void apply_mask(const KernelContext& c, const at::Tensor& y, const at::Tensor& x) {
  const DropoutRule rule(c.op->real("p"));
  const Runs runs(c);
  const std::uint64_t key = random_key(c);
  const std::int64_t* samples = data<std::int64_t>(c.samples);
  const Real real = real_of(x);
  void* to = y.mutable_data_ptr();
  const void* from = x.const_data_ptr();
  const std::int64_t batch = x.size(0), per_sample = runs.length() * runs.in_sample();
  // Pieces of a multiple of four elements, so that no call of Philox is made twice.
  constexpr std::int64_t kPiece = 1024;
  const std::int64_t pieces = (runs.length() + kPiece - 1) / kPiece;
  parallel_for(batch * runs.in_sample() * pieces, std::max<std::int64_t>(1, kGrain / std::min(kPiece, runs.length())),
               [&](std::int64_t begin, std::int64_t end) {
                 std::uint32_t words[kPiece];
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t sample = i / (runs.in_sample() * pieces), run = i / pieces % runs.in_sample();
                   const std::int64_t start = i % pieces * kPiece, n = std::min(kPiece, runs.length() - start);
                   philox_words(key, static_cast<std::uint64_t>(samples[sample]),
                                runs.first(run) + static_cast<std::uint64_t>(start), n, words);
                   mask_loop(real, to, from, sample * per_sample + run * runs.length() + start, words, rule.threshold,
                             rule.scale, n);
                 }
               });
}

struct Dropout final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    const at::Tensor& y = prepare(c.output, x.sizes(), x.scalar_type());
    if (c.training) apply_mask(c, y, x);
    else y.copy_(x);
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    apply_mask(c, gradient_slot(c, 0, dy), dy);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_dropout() { return std::make_shared<Dropout>(); }

}  // namespace trellis
