#include "run/kernels/norm.h"

#include <algorithm>
#include <vector>

#include "run/kernels/parallel.h"

namespace trellis {
namespace {

// Statistics and parameter gradients have the compute type of the loops: float for f32 and bf16, double for f64.
template <class T>
TRELLIS_INLINE void forward_rows(const NormForward& f, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  const std::int64_t h = f.hidden;
  const T* weight = static_cast<const T*>(f.weight);
  const T* bias = static_cast<const T*>(f.bias);
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(f.x) + row * h;
    T* y = static_cast<T*>(f.y) + row * h;
    C mean = 0;
    if (f.mean) mean = static_cast<C*>(f.mean)[row] = lane_sum<C>(h, [&](std::int64_t j) { return load(x[j]); }) / C(h);
    const C square = lane_sum<C>(h, [&](std::int64_t j) {
      const C centered = load(x[j]) - mean;
      return centered * centered;
    });
    const C rstd = C(1) / std::sqrt(square / C(h) + C(f.eps));
    static_cast<C*>(f.rstd)[row] = rstd;
    if (bias) {
      for (std::int64_t j = 0; j < h; ++j) store(y[j], (load(x[j]) - mean) * rstd * load(weight[j]) + load(bias[j]));
    } else {
      for (std::int64_t j = 0; j < h; ++j) store(y[j], (load(x[j]) - mean) * rstd * load(weight[j]));
    }
  }
}

// With n = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - n mean(g n)); RMS norm has no mean(g).
template <class T>
TRELLIS_INLINE void input_row(const NormBackward& b, std::int64_t row, Compute<T> mean, Compute<T> rstd) {
  using C = Compute<T>;
  const std::int64_t h = b.hidden;
  const T* x = static_cast<const T*>(b.x) + row * h;
  const T* dy = static_cast<const T*>(b.dy) + row * h;
  const T* weight = static_cast<const T*>(b.weight);
  T* dx = static_cast<T*>(b.dx) + row * h;
  C mean_g = 0;
  if (b.mean) mean_g = lane_sum<C>(h, [&](std::int64_t j) { return load(dy[j]) * load(weight[j]); }) / C(h);
  const C mean_gn =
      lane_sum<C>(h, [&](std::int64_t j) { return load(dy[j]) * load(weight[j]) * (load(x[j]) - mean); }) * rstd / C(h);
  const C slope = rstd * rstd * mean_gn, shift = rstd * mean_g;
  for (std::int64_t j = 0; j < h; ++j)
    store(dx[j], load(dy[j]) * load(weight[j]) * rstd - shift - (load(x[j]) - mean) * slope);
}

template <class T>
TRELLIS_INLINE void backward_rows(const NormBackward& b, void* weight_sum, void* bias_sum, std::int64_t begin,
                                  std::int64_t end) {
  using C = Compute<T>;
  const std::int64_t h = b.hidden;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(b.x) + row * h;
    const T* dy = static_cast<const T*>(b.dy) + row * h;
    const C rstd = static_cast<const C*>(b.rstd)[row], mean = b.mean ? static_cast<const C*>(b.mean)[row] : C(0);
    C* dw = static_cast<C*>(weight_sum);
    C* db = static_cast<C*>(bias_sum);
    if (dw)
      for (std::int64_t j = 0; j < h; ++j) dw[j] += load(dy[j]) * (load(x[j]) - mean) * rstd;
    if (db)
      for (std::int64_t j = 0; j < h; ++j) db[j] += load(dy[j]);
    if (b.dx) input_row<T>(b, row, mean, rstd);
  }
}

TRELLIS_CLONES void forward_loop(const NormForward& f, std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(f.real, T, forward_rows<T>(f, begin, end))} TRELLIS_CLONES
    void backward_loop(const NormBackward& b, void* weight_sum, void* bias_sum, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(b.real, T, backward_rows<T>(b, weight_sum, bias_sum, begin, end))
}

template <class C>
void backward_of(const NormBackward& b) {
  // A fixed number of parts, added up in order: the sum does not depend on the number of threads.
  const std::int64_t parts = std::clamp<std::int64_t>(b.rows / 64, 1, 16), piece = (b.rows + parts - 1) / parts;
  const auto h = static_cast<std::size_t>(b.hidden);
  const bool dw = b.weight_gradient, db = b.bias_gradient;
  std::vector<C> sums(static_cast<std::size_t>(parts) * h * (dw + db), C(0));
  const auto sum_of = [&](std::int64_t part, bool bias) {
    return sums.data() + (static_cast<std::size_t>(part) * (dw + db) + (bias && dw)) * h;
  };
  parallel_for(parts, b.rows * b.hidden < kGrain ? parts : 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t part = first; part < last; ++part)
      backward_loop(b, dw ? sum_of(part, false) : nullptr, db ? sum_of(part, true) : nullptr, part * piece,
                    std::min(b.rows, (part + 1) * piece));
  });
  for (const bool bias : {false, true}) {
    C* gradient = static_cast<C*>(bias ? b.bias_gradient : b.weight_gradient);
    if (!gradient) continue;
    for (std::size_t j = 0; j < h; ++j) {
      C total = 0;
      for (std::int64_t part = 0; part < parts; ++part) total += sum_of(part, bias)[j];
      gradient[j] += total;
    }
  }
}

}  // namespace

void norm_forward(const NormForward& f) {
  parallel_for(f.rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(f.hidden, 1)),
               [&](std::int64_t begin, std::int64_t end) { forward_loop(f, begin, end); });
}

void norm_backward(const NormBackward& b) { b.real == Real::f64 ? backward_of<double>(b) : backward_of<float>(b); }

}  // namespace trellis
