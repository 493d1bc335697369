#include "run/data/text_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "plan/run/text_files.h"
#include "run/data/permutation.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

// Of each position: whether it is masked, by what, and which random token.
constexpr std::uint64_t kChosen = 0x6d61736b, kFate = kChosen + 1, kRandomToken = kChosen + 2;

double uniform(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

}  // namespace

TextSource::TextSource(std::span<const std::uint16_t> text, TextOptions options)
    : text_(text),
      options_(options),
      samples_(text.empty() ? 0 : (static_cast<std::int64_t>(text.size()) - 1) / options.sequence) {
  if (samples_ == 0)
    throw Error(ExitCode::bad_input,
                fmt::format("a sample has {} tokens, and there are only {}", options.sequence + 1, text.size()),
                "more text, or a shorter sequence");
}

std::int64_t TextSource::sample(std::int64_t step, std::int64_t row) const {
  if (row >= options_.batch) return -1;
  const std::int64_t cursor = step * options_.batch + row;
  if (options_.order == Order::in_turn) return cursor < samples_ ? cursor : -1;
  const auto epoch = static_cast<std::uint64_t>(cursor / samples_);
  const Permutation order(static_cast<std::uint64_t>(samples_), mix({options_.seed, epoch}));
  return static_cast<std::int64_t>(order(static_cast<std::uint64_t>(cursor % samples_)));
}

TextSource::Field TextSource::field_named(const std::string& name) const {
  if (name == "ids") return Field::ids;
  if (name == "labels") return Field::labels;
  if (name == "positions") return Field::positions;
  if (options_.masking && name == "segments") return Field::segments;
  if (options_.masking && name == "mask") return Field::mask;
  if (options_.masking)
    throw Error(ExitCode::unsupported, fmt::format("data 'masked_text' has no field '{}', which the model reads", name),
                "it has ids, labels, positions, segments and mask: it trains models that restore masked tokens");
  throw Error(ExitCode::unsupported, fmt::format("data 'text' has no field '{}', which the model reads", name),
              "text has ids, labels and positions: it trains models that predict the next token; "
              "masked_text trains models that restore masked ones");
}

std::int64_t TextSource::entry(Field field, std::int64_t cursor, std::int64_t sample, std::int64_t position) const {
  if (field == Field::positions) return position;
  if (field == Field::segments) return 0;
  if (field == Field::mask) return 1;
  const std::uint16_t* tokens = text_.data() + sample * options_.sequence;
  if (!options_.masking) return tokens[field == Field::labels ? position + 1 : position];
  const Masking& masking = *options_.masking;
  const auto random = [&](std::uint64_t stream) {
    return mix({options_.seed, stream, static_cast<std::uint64_t>(cursor), static_cast<std::uint64_t>(position)});
  };
  const bool chosen = uniform(random(kChosen)) < masking.share;
  if (field == Field::labels) return chosen ? tokens[position] : -1;
  if (!chosen) return tokens[position];
  const double fate = uniform(random(kFate));
  if (fate < 0.8) return masking.mask_id;
  if (fate >= 0.9) return tokens[position];
  return static_cast<std::int64_t>(random(kRandomToken) % static_cast<std::uint64_t>(masking.vocab));
}

at::Tensor TextSource::field(const FieldRequest& request) const {
  const Field field = field_named(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  auto* out = result.data_ptr<std::int64_t>();
  const std::int64_t nothing = field == Field::labels ? -1 : 0;
  for (std::int64_t row = request.row_begin; row < request.row_end; ++row) {
    const std::int64_t sample = this->sample(request.step, row), cursor = request.step * options_.batch + row;
    for (std::int64_t p = request.position_begin; p < request.position_end; ++p)
      *out++ = sample < 0 || p >= options_.sequence ? nothing : entry(field, cursor, sample, p);
  }
  return result;
}

std::int64_t TextSource::counted_items(std::int64_t step, std::string_view labels) const {
  if (labels != "labels") field_named(std::string(labels));
  std::int64_t rows = options_.batch;
  if (options_.order == Order::in_turn) rows = std::clamp<std::int64_t>(samples_ - step * rows, 0, rows);
  if (!options_.masking) return rows * options_.sequence;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t sample = this->sample(step, row);
    for (std::int64_t p = 0; p < options_.sequence; ++p)
      count += entry(Field::labels, step * options_.batch + row, sample, p) >= 0;
  }
  return count;
}

Text Text::read(const DataSection& section) {
  const std::vector<std::filesystem::path> files = find_files(section.files, section.mark);
  Text text;
  text.tokens = read_tokens(files, section.mark);
  text.files = files.size();
  const auto held_out = static_cast<std::size_t>(static_cast<double>(text.tokens.size()) * section.held_out);
  text.training = text.tokens.size() - held_out;
  return text;
}

}  // namespace trellis::data
