#include <algorithm>
#include <cmath>
#include <mutex>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "trellis/plan/error.h"
#include "trellis/plan/rotary.h"

namespace trellis {
namespace {

// cos and sin of position * frequency of each pair, for positions 0, 1, ...
struct Table {
  std::vector<double> frequencies;
  std::int64_t half = 0, positions = 0;
  std::vector<float> f32;  // [position][cos, sin][half]
  std::vector<double> f64;

  const float* row(std::int64_t position, float) const { return f32.data() + position * 2 * half; }
  const double* row(std::int64_t position, double) const { return f64.data() + position * 2 * half; }
};

std::shared_ptr<const Table> make_table(const std::vector<double>& frequencies, std::int64_t positions) {
  auto table = std::make_shared<Table>();
  const auto half = static_cast<std::int64_t>(frequencies.size());
  table->frequencies = frequencies, table->half = half, table->positions = positions;
  table->f64.resize(static_cast<std::size_t>(positions * 2 * half));
  for (std::int64_t position = 0; position < positions; ++position) {
    double* row = table->f64.data() + position * 2 * half;
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies[static_cast<std::size_t>(i)];
      row[i] = std::cos(angle), row[half + i] = std::sin(angle);
    }
  }
  table->f32.assign(table->f64.begin(), table->f64.end());
  return table;
}

// y = x rotated by the angle of its token; sign -1 turns it back. Halves are paired: i with i + d / 2.
template <class T>
TRELLIS_INLINE void rotate_tokens(T* y, const T* x, const Table& table, const std::int64_t* positions,
                                  std::int64_t heads, Compute<T> sign, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  const std::int64_t half = table.half;
  for (std::int64_t token = begin; token < end; ++token) {
    const C* cosine = table.row(std::max<std::int64_t>(positions[token], 0), C());
    const C* sine = cosine + half;
    for (std::int64_t head = 0; head < heads; ++head) {
      const T* from = x + (token * heads + head) * 2 * half;
      T* to = y + (token * heads + head) * 2 * half;
      for (std::int64_t i = 0; i < half; ++i) {
        const C a = load(from[i]), b = load(from[half + i]), s = sign * sine[i];
        store(to[i], a * cosine[i] - b * s);
        store(to[half + i], b * cosine[i] + a * s);
      }
    }
  }
}

TRELLIS_CLONES void rotate_loop(Real real, void* y, const void* x, const Table& table, const std::int64_t* positions,
                                std::int64_t heads, int sign, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(real, T,
                  rotate_tokens(static_cast<T*>(y), static_cast<const T*>(x), table, positions, heads, Compute<T>(sign),
                                begin, end))
}

// The rotate-half convention of LLaMA's public weights. A negative position (padding) is not rotated.
class Rotary final : public OpKernel {
 public:
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    rotate(c, prepare(c.output, x.sizes(), x.scalar_type()), x, 1);
  }
  void input_gradient(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    rotate(c, gradient_slot(c, 0, dy), dy, -1);
  }
  void weight_gradient(KernelContext&) const override {}  // there are no parameters

 private:
  void rotate(const KernelContext& c, const at::Tensor& y, const at::Tensor& x, int sign) const {
    const at::Tensor& positions = input(c, 1);
    const std::int64_t* position = data<std::int64_t>(positions);
    const std::int64_t tokens = positions.numel(), width = x.size(-1);
    if (tokens == 0) return;
    if (width % 2) fail("op '{}': rotary needs an even head dim; found {}", c.op->name, width);
    const auto table =
        table_for(rotary_frequencies(*c.op, width / 2), *std::max_element(position, position + tokens) + 1);
    const std::int64_t heads = x.numel() / (tokens * width);
    const Real real = real_of(x);
    parallel_for(
        tokens, std::max<std::int64_t>(1, kGrain / (heads * width)), [&](std::int64_t begin, std::int64_t end) {
          rotate_loop(real, y.mutable_data_ptr(), x.const_data_ptr(), *table, position, heads, sign, begin, end);
        });
  }

  // Computing a table costs more than using it; one is kept for each set of frequencies and grows with the positions.
  std::shared_ptr<const Table> table_for(const std::vector<double>& frequencies, std::int64_t positions) const {
    constexpr std::int64_t kMostPositions = std::int64_t(1) << 20;
    if (positions > kMostPositions) fail("rotary: position {} is too large", positions - 1);
    const std::lock_guard lock(mutex_);
    for (auto& table : tables_) {
      if (table->frequencies != frequencies) continue;
      if (table->positions < positions) table = make_table(frequencies, std::max(positions, 2 * table->positions));
      return table;
    }
    tables_.push_back(make_table(frequencies, std::max<std::int64_t>(positions, 1)));
    return tables_.back();
  }

  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const Table>> tables_;
};

}  // namespace

std::shared_ptr<const OpKernel> make_rotary() { return std::make_shared<Rotary>(); }

}  // namespace trellis
