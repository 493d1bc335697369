#include "cuda/kernels/elements.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "run/kernels/philox_rounds.h"

namespace trellis::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 16;

void check_launch(const char* what) {
  if (const cudaError_t status = cudaGetLastError(); status != cudaSuccess)
    launch_failed(what, cudaGetErrorString(status));
}

template <class Body>
__global__ void __launch_bounds__(kThreads) loop(Body body, std::int64_t n) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) body(i);
}

template <class Body>
void each(const Place& place, std::int64_t n, const char* what, const Body& body) {
  if (n == 0) return;
  if (!place.on_device) {
    for (std::int64_t i = 0; i < n; ++i) body(i);
    return;
  }
  const auto blocks = static_cast<unsigned>(std::min((n + kThreads - 1) / kThreads, kMostBlocks));
  loop<<<blocks, kThreads, 0, static_cast<cudaStream_t>(place.stream)>>>(body, n);
  check_launch(what);
}

struct Bf16 {
  std::uint16_t bits;
};

TRELLIS_HOST_DEVICE float load(float v) { return v; }
TRELLIS_HOST_DEVICE double load(double v) { return v; }
TRELLIS_HOST_DEVICE float load(Bf16 v) {
  const std::uint32_t bits = static_cast<std::uint32_t>(v.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}
TRELLIS_HOST_DEVICE void store(float& to, float v) { to = v; }
TRELLIS_HOST_DEVICE void store(double& to, double v) { to = v; }
TRELLIS_HOST_DEVICE void store(Bf16& to, float v) {  // to the nearest, ties to even; a NaN stays one
  std::uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to.bits = static_cast<std::uint16_t>(v != v ? 0x7fc0u : rounded);
}

// Elements are computed in float, those of double in double.
template <class T>
struct ComputeOf {
  using type = float;
};
template <>
struct ComputeOf<double> {
  using type = double;
};

template <class T>
struct Mask {
  using C = typename ComputeOf<T>::type;
  MaskLoop l;

  TRELLIS_HOST_DEVICE void operator()(std::int64_t i) const {
    std::uint64_t index = l.first;
    std::int64_t rest = i;
    for (int d = l.dims - 1; d > 0; --d) {
      index += static_cast<std::uint64_t>(rest % l.size[d] * l.stride[d]);
      rest /= l.size[d];
    }
    const std::uint32_t word = philox_word(l.key, static_cast<std::uint64_t>(l.samples[rest]), index);
    const C value = load(static_cast<const T*>(l.x)[i]) * static_cast<C>(l.scale);
    store(static_cast<T*>(l.y)[i], word >= l.threshold ? value : C(0));
  }
};

template <class C>
struct Update {
  C *parameter, *first, *second;
  const C* gradient;
  Bf16* compute;
  std::int64_t decayed;
  C decay, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon, scale;

  explicit Update(const AdamWLoop& l)
      : parameter(static_cast<C*>(l.parameter)),
        first(static_cast<C*>(l.first)),
        second(static_cast<C*>(l.second)),
        gradient(static_cast<const C*>(l.gradient)),
        compute(static_cast<Bf16*>(l.compute)),
        decayed(l.decayed),
        decay(static_cast<C>(l.decay)),
        one_minus_beta1(static_cast<C>(l.one_minus_beta1)),
        beta2(static_cast<C>(l.beta2)),
        one_minus_beta2(static_cast<C>(l.one_minus_beta2)),
        step_size(static_cast<C>(l.step_size)),
        inverse_root(static_cast<C>(l.inverse_root)),
        epsilon(static_cast<C>(l.epsilon)),
        scale(static_cast<C>(l.gradient_scale)) {}

  TRELLIS_HOST_DEVICE void operator()(std::int64_t i) const {
    const C g = gradient[i] * scale;
    const C m = first[i] + one_minus_beta1 * (g - first[i]);
    const C v = beta2 * second[i] + one_minus_beta2 * g * g;
    const C kept = i < decayed ? parameter[i] * decay : parameter[i];
    const C value = kept - step_size * m / (sqrt(v) * inverse_root + epsilon);
    first[i] = m, second[i] = v, parameter[i] = value;
    if (compute) store(compute[i], static_cast<float>(value));
  }
};

// The sum over the threads of a block, in the order of a tree; on thread 0.
__device__ double block_sum(double mine) {
  __shared__ double part[kThreads];
  part[threadIdx.x] = mine;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  return part[0];
}

template <class C>
__global__ void __launch_bounds__(kThreads) square_blocks(const C* x, std::int64_t n, double* sums) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * SquaresLoop::kBlock;
  const std::int64_t end = begin + SquaresLoop::kBlock < n ? begin + SquaresLoop::kBlock : n;
  double mine = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const auto value = static_cast<double>(x[i]);
    mine += value * value;
  }
  const double sum = block_sum(mine);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) add_blocks(const double* sums, std::int64_t n, double* total) {
  double mine = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) mine += sums[i];
  const double sum = block_sum(mine);
  if (threadIdx.x == 0) *total += sum;
}

template <class C>
void sum_squares(const Place& place, const SquaresLoop& l) {
  const C* x = static_cast<const C*>(l.x);
  if (!place.on_device) {
    double sum = 0;
    for (std::int64_t i = 0; i < l.size; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    *l.total += sum;
    return;
  }
  const auto stream = static_cast<cudaStream_t>(place.stream);
  square_blocks<<<static_cast<unsigned>(l.blocks()), kThreads, 0, stream>>>(x, l.size, l.sums);
  check_launch("squares of a shard");
  add_blocks<<<1, kThreads, 0, stream>>>(l.sums, l.blocks(), l.total);
  check_launch("sum of a shard's squares");
}

}  // namespace

void run(const Place& place, const MaskLoop& l) {
  std::int64_t n = 1;
  for (int d = 0; d < l.dims; ++d) n *= l.size[d];
  switch (l.element) {
    case Element::f32:
      return each(place, n, "dropout", Mask<float>{l});
    case Element::f64:
      return each(place, n, "dropout", Mask<double>{l});
    case Element::bf16:
      return each(place, n, "dropout", Mask<Bf16>{l});
  }
}

void run(const Place& place, const AdamWLoop& l) {
  if (l.element == Element::f64) each(place, l.size, "AdamW", Update<double>(l));
  else each(place, l.size, "AdamW", Update<float>(l));
}

void run(const Place& place, const SquaresLoop& l) {
  if (l.size == 0) return;
  if (l.element == Element::f64) sum_squares<double>(place, l);
  else sum_squares<float>(place, l);
}

}  // namespace trellis::cuda
