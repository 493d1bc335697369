#include "run/verify/synthetic_source.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis {
namespace {

// Streams of random numbers: tokens and labels share one, so that labels are tokens.
constexpr std::uint64_t kTokens = 0, kHoles = 1, kLengths = 2;

std::uint64_t stream_of(std::string_view name, FieldKind kind) {
  if (name == "ids" || kind == FieldKind::labels) return kTokens;
  std::uint64_t hash = 3;
  for (const char c : name) hash = hash * 131 + static_cast<unsigned char>(c);
  return hash;
}

}  // namespace

SyntheticSource::SyntheticSource(std::int64_t batch, std::map<std::string, FieldSpec> fields, std::uint64_t seed, bool holes)
    : batch_(batch), fields_(std::move(fields)), seed_(seed), holes_(holes) {}

std::uint64_t SyntheticSource::random(std::uint64_t stream, std::int64_t sample, std::int64_t position) const {
  return mix({seed_ + stream, static_cast<std::uint64_t>(sample), static_cast<std::uint64_t>(position)});
}

const FieldSpec& SyntheticSource::find(std::string_view name) const {
  const auto found = fields_.find(std::string(name));
  if (found == fields_.end()) fail("a synthetic source has no field '{}'", name);
  return found->second;
}

// Entries of a sample that are there: all, unless the model has a mask over that sequence.
std::int64_t SyntheticSource::length(const FieldSpec& field, std::int64_t sample) const {
  const auto is_mask = [&](const auto& other) {
    return other.second.range.kind == FieldKind::mask && other.second.sequence == field.sequence;
  };
  if (field.sequence.empty() || !holes_ || std::ranges::none_of(fields_, is_mask)) return std::max<std::int64_t>(1, field.positions);
  return 1 + static_cast<std::int64_t>(random(kLengths, sample, field.positions) % static_cast<std::uint64_t>(field.positions));
}

std::int64_t SyntheticSource::entry(std::string_view name, const FieldSpec& field, std::int64_t sample,
                                    std::int64_t position) const {
  if (field.range.kind == FieldKind::positions) return position;
  const bool there = position < length(field, sample);
  if (field.range.kind == FieldKind::mask) return there;
  const auto values = static_cast<std::uint64_t>(std::max<std::int64_t>(1, field.range.values));
  const std::uint64_t stream = stream_of(name, field.range.kind);
  if (field.range.kind != FieldKind::labels) return static_cast<std::int64_t>(random(stream, sample, position) % values);
  const auto chance = static_cast<std::int64_t>(random(kHoles, sample, position) % 8);
  if (!there || (holes_ && chance < sample % 5)) return -1;
  return static_cast<std::int64_t>(random(stream, sample, position + 1) % values);
}

at::Tensor SyntheticSource::field(const FieldRequest& r) const {
  const FieldSpec& field = find(r.name);
  const std::int64_t rows = r.row_end - r.row_begin, positions = r.position_end - r.position_begin;
  const std::int64_t unpadded = std::max<std::int64_t>(1, field.positions);
  const bool real = field.range.kind == FieldKind::real;
  const std::int64_t nothing = field.range.kind == FieldKind::labels || field.range.kind == FieldKind::positions ? -1 : 0;
  const at::Tensor out = real ? at::zeros({rows, positions, field.features}, at::kFloat) : at::empty({rows, positions}, at::kLong);
  for (std::int64_t row = r.row_begin; row < r.row_end; ++row)
    for (std::int64_t p = r.position_begin; p < r.position_end; ++p) {
      const std::int64_t sample = r.step * batch_ + row, at = (row - r.row_begin) * positions + p - r.position_begin;
      const bool is_there = p < unpadded && (row < batch_ || field.range.kind == FieldKind::positions);
      if (!real) {
        out.data_ptr<std::int64_t>()[at] = is_there ? entry(r.name, field, sample, p) : nothing;
        continue;
      }
      for (std::int64_t f = 0; is_there && f < field.features; ++f)
        out.data_ptr<float>()[at * field.features + f] =
            static_cast<float>(random(stream_of(r.name, FieldKind::real), sample, p * field.features + f) >> 40) * 0x1p-23f - 1.0f;
    }
  return out;
}

std::int64_t SyntheticSource::counted_items(std::int64_t step, std::string_view labels) const {
  const FieldSpec& field = find(labels);
  std::int64_t count = 0;
  for (std::int64_t sample = step * batch_; sample < (step + 1) * batch_; ++sample)
    for (std::int64_t p = 0; p < std::max<std::int64_t>(1, field.positions); ++p) count += entry(labels, field, sample, p) >= 0;
  return count;
}

}  // namespace trellis
