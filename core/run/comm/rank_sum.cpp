#include "run/comm/rank_sum.h"

#include <algorithm>
#include <array>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

constexpr std::int64_t kBlock = 1024;  // elements; the accumulator stays in the first-level cache

template <class T, class Accumulator>
void sum(T* out, const std::vector<const T*>& parts, std::int64_t count) {
  std::array<Accumulator, kBlock> total;
  for (std::int64_t start = 0; start < count; start += kBlock) {
    const std::int64_t n = std::min(kBlock, count - start);
    for (std::int64_t i = 0; i < n; ++i) total[static_cast<std::size_t>(i)] = parts[0][start + i];
    for (std::size_t p = 1; p < parts.size(); ++p) {
      const T* part = parts[p] + start;
      for (std::int64_t i = 0; i < n; ++i) total[static_cast<std::size_t>(i)] += static_cast<Accumulator>(part[i]);
    }
    for (std::int64_t i = 0; i < n; ++i) out[start + i] = static_cast<T>(total[static_cast<std::size_t>(i)]);
  }
}

template <class T, class Accumulator = T>
void sum_tensors(const at::Tensor& out, const std::vector<at::Tensor>& parts) {
  std::vector<const T*> pointers;
  for (const at::Tensor& part : parts) pointers.push_back(part.const_data_ptr<T>());
  sum<T, Accumulator>(out.mutable_data_ptr<T>(), pointers, out.numel());
}

}  // namespace

void sum_in_rank_order(const at::Tensor& out, const std::vector<at::Tensor>& parts) {
  switch (out.scalar_type()) {
    case at::kFloat:
      return sum_tensors<float>(out, parts);
    case at::kDouble:
      return sum_tensors<double>(out, parts);
    case at::kBFloat16:
      return sum_tensors<at::BFloat16, float>(out, parts);
    case at::kLong:
      return sum_tensors<std::int64_t>(out, parts);
    default:
      fail(ExitCode::failure, "a sum over ranks is for f32, f64, bf16 and i64, not {}", toString(out.scalar_type()));
  }
}

}  // namespace trellis
