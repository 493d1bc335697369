#include <algorithm>
#include <cstring>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

template <class G, class T>
TRELLIS_INLINE void add_row(G* to, const T* from, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) to[j] += static_cast<G>(load(from[j]));
}

// Adds columns [begin, end) of each token's gradient to its row, in token order.
struct Scatter {
  const std::int64_t* ids;
  std::int64_t tokens, first_row, rows, hidden;
  std::int64_t untrained;  // the id whose row gets nothing, or -1
};
template <class G, class T>
TRELLIS_INLINE void scatter_range(G* table, const T* dy, const Scatter& s, std::int64_t begin, std::int64_t end) {
  for (std::int64_t token = 0; token < s.tokens; ++token) {
    const std::int64_t row = s.ids[token] - s.first_row;
    if (s.ids[token] < 0 || row < 0 || row >= s.rows || s.ids[token] == s.untrained) continue;
    add_row(table + row * s.hidden + begin, dy + token * s.hidden + begin, end - begin);
  }
}
TRELLIS_CLONES void scatter_to_float(Real real, float* table, const void* dy, const Scatter& s, std::int64_t begin,
                                     std::int64_t end){
    TRELLIS_BY_REAL(real, T, scatter_range(table, static_cast<const T*>(dy), s, begin, end))} TRELLIS_CLONES
    void scatter_to_double(Real real, double* table, const void* dy, const Scatter& s, std::int64_t begin,
                           std::int64_t end) {
  TRELLIS_BY_REAL(real, T, scatter_range(table, static_cast<const T*>(dy), s, begin, end))
}

// b s -> b s h over the rows that this rank holds. Ids of other rows, and negative ones, give zero rows.
struct Embedding final : OpKernel {
  static Scatter scatter(const KernelContext& c, const at::Tensor& table) {
    const at::Tensor& ids = input(c, 0);
    if (ids.scalar_type() != at::kLong)
      fail(ExitCode::failure, "the ids of op '{}' are not 64-bit integers", c.op->name);
    const auto rows = static_cast<std::size_t>(parameter_dims(c, 0)[0]);
    return {data<std::int64_t>(ids), ids.numel(), rows < c.offset.size() ? c.offset[rows] : 0, table.size(0),
            table.size(1), c.op->integer("untrained", -1)};
  }

  void forward(KernelContext& c) const override {
    const at::Tensor& table = c.parameters[0];
    const Scatter s = scatter(c, table);
    const std::int64_t all_rows = c.layer->dims[static_cast<std::size_t>(parameter_dims(c, 0)[0])].size;
    for (std::int64_t i = 0; i < s.tokens; ++i)
      if (s.ids[i] >= std::max(all_rows, s.first_row + s.rows))
        fail("op '{}': id {} is not below the table's {} rows", c.op->name, s.ids[i], all_rows);
    Shape shape = input(c, 0).sizes().vec();
    shape.push_back(s.hidden);
    char* to = static_cast<char*>(prepare(c.output, shape, table.scalar_type()).mutable_data_ptr());
    const char* from = static_cast<const char*>(table.const_data_ptr());
    const auto bytes = static_cast<std::size_t>(s.hidden) * table.element_size();
    parallel_for(s.tokens, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(s.hidden, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t row = s.ids[i] - s.first_row;
                     char* line = to + static_cast<std::size_t>(i) * bytes;
                     if (s.ids[i] < 0 || row < 0 || row >= s.rows) std::memset(line, 0, bytes);
                     else std::memcpy(line, from + static_cast<std::size_t>(row) * bytes, bytes);
                   }
                 });
  }

  void weight_gradient(KernelContext& c) const override {
    const at::Tensor gradient = parameter_gradient(c, 0);
    if (!gradient.defined()) return;
    const at::Tensor& dy = output_gradient(c);
    const Scatter s = scatter(c, gradient);
    const Real real = real_of(dy);
    // Threads take columns: tokens are added in one order, whatever the number of threads.
    parallel_for(s.hidden, std::max<std::int64_t>(64, kGrain / std::max<std::int64_t>(s.tokens, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   if (gradient.scalar_type() == at::kDouble)
                     scatter_to_double(real, mutable_data<double>(gradient), dy.const_data_ptr(), s, begin, end);
                   else scatter_to_float(real, mutable_data<float>(gradient), dy.const_data_ptr(), s, begin, end);
                 });
  }
  void input_gradient(KernelContext&) const override {}  // ids have none
};

}  // namespace

std::shared_ptr<const OpKernel> make_embedding() { return std::make_shared<Embedding>(); }

}  // namespace trellis
