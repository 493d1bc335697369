#include "run/kernels/support.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "run/kernels/parallel.h"
#include "trellis/plan/error.h"

namespace trellis {

at::ScalarType scalar_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return at::kFloat;
    case Dtype::f64:
      return at::kDouble;
    case Dtype::bf16:
      return at::kBFloat16;
    case Dtype::i64:
      return at::kLong;
    case Dtype::u8:
      return at::kByte;
  }
  fail(ExitCode::failure, "no element type {}", static_cast<int>(dtype));
}

at::ScalarType stats_type(const KernelContext& c) { return c.dtype == Dtype::f64 ? at::kDouble : at::kFloat; }

Real real_of(const at::Tensor& tensor) {
  if (!tensor.is_cpu()) fail(ExitCode::unsupported, "a CPU kernel was given a tensor of another device");
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Real::f32;
    case at::kDouble:
      return Real::f64;
    case at::kBFloat16:
      return Real::bf16;
    default:
      fail(ExitCode::failure, "a kernel was given a tensor of {}; expected float, double or bfloat16",
           c10::toString(tensor.scalar_type()));
  }
}

at::Tensor& prepare(at::Tensor& slot, at::IntArrayRef shape, at::ScalarType type) {
  if (!slot.defined()) return slot = at::empty(shape, at::TensorOptions().dtype(type));
  if (slot.sizes() != shape || slot.scalar_type() != type || !slot.is_contiguous())
    fail(ExitCode::failure, "a kernel's output is {} [{}]; expected contiguous {} [{}]",
         c10::toString(slot.scalar_type()), fmt::join(slot.sizes(), " "), c10::toString(type), fmt::join(shape, " "));
  return slot;
}

const at::Tensor& input(const KernelContext& c, std::size_t index) {
  if (index >= c.inputs.size() || !c.inputs[index].defined())
    fail(ExitCode::failure, "op '{}' was run without its input {}", c.op ? c.op->name : "", index);
  return c.inputs[index];
}

const at::Tensor& output_gradient(const KernelContext& c) {
  if (!c.output_gradient.defined())
    fail(ExitCode::failure, "backward of op '{}' was run without the gradient of its output", c.op ? c.op->name : "");
  return c.output_gradient;
}

const std::vector<DimId>& output_dims(const KernelContext& c) {
  return c.layer->values[static_cast<std::size_t>(c.op->output)].dims;
}

const std::vector<DimId>& parameter_dims(const KernelContext& c, std::size_t index) {
  return c.layer->parameters[static_cast<std::size_t>(c.op->parameters[index])].dims;
}

bool wants(const KernelContext& c, std::size_t input) { return input >= c.wants.size() || c.wants[input]; }

bool is_fresh(const KernelContext& c, std::size_t index) { return index < c.fresh.size() && c.fresh[index]; }

at::Tensor parameter_gradient(const KernelContext& c, std::size_t index) {
  return index < c.parameter_gradients.size() ? c.parameter_gradients[index] : at::Tensor();
}

std::uint64_t random_key(const KernelContext& c) { return mix({c.seed, c.step, c.layer_index, c.op_index}); }

namespace {

template <class G, class T>
TRELLIS_INLINE void add_range(G* to, const T* from, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += static_cast<G>(load(from[i]));
}

TRELLIS_CLONES void add_to_float(float* to, Real real, const void* from, std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(real, T, add_range(to + begin, static_cast<const T*>(from) + begin, end - begin))}

TRELLIS_CLONES void add_to_double(double* to, Real real, const void* from, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T, add_range(to + begin, static_cast<const T*>(from) + begin, end - begin))
}

// Columns [begin, end) of all rows, in blocks of rows so that a long sum keeps its precision.
template <class G, class T>
TRELLIS_INLINE void sum_columns(G* to, const T* from, std::int64_t rows, std::int64_t columns, std::int64_t begin,
                                std::int64_t end) {
  constexpr std::int64_t kWidth = 256, kBlock = 64;
  G block[kWidth];
  for (std::int64_t left = begin; left < end; left += kWidth) {
    const std::int64_t width = std::min(kWidth, end - left);
    for (std::int64_t top = 0; top < rows; top += kBlock) {
      for (std::int64_t j = 0; j < width; ++j) block[j] = 0;
      for (std::int64_t row = top; row < std::min(rows, top + kBlock); ++row) {
        const T* line = from + row * columns + left;
        for (std::int64_t j = 0; j < width; ++j) block[j] += static_cast<G>(load(line[j]));
      }
      for (std::int64_t j = 0; j < width; ++j) to[left + j] += block[j];
    }
  }
}

TRELLIS_CLONES void columns_to_float(float* to, Real real, const void* from, std::int64_t rows, std::int64_t columns,
                                     std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(real, T, sum_columns(to, static_cast<const T*>(from), rows, columns, begin, end))}

TRELLIS_CLONES void columns_to_double(double* to, Real real, const void* from, std::int64_t rows, std::int64_t columns,
                                      std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T, sum_columns(to, static_cast<const T*>(from), rows, columns, begin, end))
}

template <class T>
TRELLIS_INLINE void add_row_range(T* y, const T* x, const T* bias, std::int64_t columns, std::int64_t begin,
                                  std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row)
    for (std::int64_t j = 0; j < columns; ++j) store(y[row * columns + j], load(x[row * columns + j]) + load(bias[j]));
}

TRELLIS_CLONES void add_rows_of(Real real, void* y, const void* x, const void* bias, std::int64_t columns,
                                std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(
      real, T,
      add_row_range(static_cast<T*>(y), static_cast<const T*>(x), static_cast<const T*>(bias), columns, begin, end))
}

}  // namespace

void accumulate(const at::Tensor& to, const at::Tensor& from) {
  const Real real = real_of(from);
  const void* source = from.const_data_ptr();
  const bool wide = to.scalar_type() == at::kDouble;
  parallel_for(to.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (wide) add_to_double(mutable_data<double>(to), real, source, begin, end);
    else add_to_float(mutable_data<float>(to), real, source, begin, end);
  });
}

void accumulate_rows(const at::Tensor& to, const at::Tensor& from) {
  const Real real = real_of(from);
  const std::int64_t columns = to.numel(), rows = columns ? from.numel() / columns : 0;
  const bool wide = to.scalar_type() == at::kDouble;
  parallel_for(columns, std::max<std::int64_t>(64, kGrain / std::max<std::int64_t>(rows, 1)),
               [&](std::int64_t begin, std::int64_t end) {
                 if (wide)
                   columns_to_double(mutable_data<double>(to), real, from.const_data_ptr(), rows, columns, begin, end);
                 else columns_to_float(mutable_data<float>(to), real, from.const_data_ptr(), rows, columns, begin, end);
               });
}

void add_rows(const at::Tensor& y, const at::Tensor& x, const at::Tensor& bias) {
  const Real real = real_of(x);
  const std::int64_t columns = bias.numel(), rows = columns ? x.numel() / columns : 0;
  parallel_for(rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(columns, 1)),
               [&](std::int64_t begin, std::int64_t end) {
                 add_rows_of(real, y.mutable_data_ptr(), x.const_data_ptr(), bias.const_data_ptr(), columns, begin,
                             end);
               });
}

}  // namespace trellis
