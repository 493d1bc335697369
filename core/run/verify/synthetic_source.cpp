#include "run/verify/synthetic_source.h"

#include <ATen/ATen.h>

#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis {

std::int64_t SyntheticSource::token(std::int64_t sample, std::int64_t position) const {
  return static_cast<std::int64_t>(mix({seed_, static_cast<std::uint64_t>(sample), static_cast<std::uint64_t>(position)}) %
                                   static_cast<std::uint64_t>(vocab_));
}

std::int64_t SyntheticSource::label(std::int64_t sample, std::int64_t position) const {
  const auto chance = mix({seed_ + 1, static_cast<std::uint64_t>(sample), static_cast<std::uint64_t>(position)}) % 8;
  return holes_ && static_cast<std::int64_t>(chance) < sample % 5 ? -1 : token(sample, position + 1);
}

at::Tensor SyntheticSource::field(const FieldRequest& r) const {
  at::Tensor out = at::empty({r.row_end - r.row_begin, r.position_end - r.position_begin}, at::kLong);
  std::int64_t* next = out.data_ptr<std::int64_t>();
  for (std::int64_t row = r.row_begin; row < r.row_end; ++row)
    for (std::int64_t p = r.position_begin; p < r.position_end; ++p) {
      const std::int64_t sample = r.step * batch_ + row;
      const bool real = row < batch_ && p < sequence_;
      if (r.name == "ids") *next++ = real ? token(sample, p) : 0;
      else if (r.name == "positions") *next++ = p < sequence_ ? p : -1;
      else if (r.name == "labels") *next++ = real ? label(sample, p) : -1;
      else fail("a synthetic source has no field '{}'", r.name);
    }
  return out;
}

std::int64_t SyntheticSource::counted_items(std::int64_t step) const {
  std::int64_t count = 0;
  for (std::int64_t s = step * batch_; s < (step + 1) * batch_; ++s)
    for (std::int64_t p = 0; p < sequence_; ++p) count += label(s, p) >= 0;
  return count;
}

}  // namespace trellis
