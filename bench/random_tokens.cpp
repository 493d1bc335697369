#include "bench/random_tokens.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis::bench {

RandomTokens::RandomTokens(const TokenShape& shape, std::uint64_t seed)
    : shape_(shape),
      tokens_(at::empty({shape.batches, shape.samples, shape.sequence + 1}, at::TensorOptions(at::kInt))) {
  const Philox random{mix({seed})};
  const auto vocab = static_cast<std::uint32_t>(shape.vocab);
  std::int32_t* token = tokens_.mutable_data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i < tokens_.numel(); ++i)
    token[i] = static_cast<std::int32_t>(random(0, static_cast<std::uint64_t>(i)).w[0] % vocab);
}

at::Tensor RandomTokens::field(const FieldRequest& r) const {
  const bool labels = r.name == "labels", ids = r.name == "ids";
  if (!labels && !ids && r.name != "positions") fail("the benchmark's tokens have no field '{}'", r.name);
  const std::int64_t rows = r.row_end - r.row_begin, width = r.position_end - r.position_begin;
  at::Tensor out = at::full({rows, width}, labels ? -1 : 0, at::TensorOptions(at::kLong));
  std::int64_t* to = out.mutable_data_ptr<std::int64_t>();
  const std::int32_t* batch =
      tokens_.const_data_ptr<std::int32_t>() + r.step % shape_.batches * shape_.samples * (shape_.sequence + 1);
  for (std::int64_t row = r.row_begin; row < std::min(r.row_end, shape_.samples); ++row) {
    for (std::int64_t p = r.position_begin; p < std::min(r.position_end, shape_.sequence); ++p) {
      const std::int64_t at = (row - r.row_begin) * width + p - r.position_begin;
      to[at] = labels || ids ? batch[row * (shape_.sequence + 1) + p + (labels ? 1 : 0)] : p;
    }
  }
  return out;
}

std::int64_t RandomTokens::counted_items(std::int64_t, std::string_view) const { return shape_.samples * shape_.sequence; }

}  // namespace trellis::bench
