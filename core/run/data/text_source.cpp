#include "run/data/text_source.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

std::vector<TokenRow> one_row(std::span<const std::uint16_t> text) {
  return {{.tokens = in_memory({text.begin(), text.end()})}};
}

}  // namespace

TextSource::TextSource(std::span<const std::uint16_t> text, TextOptions options)
    : TextSource(one_row(text), std::move(options)) {}

TextSource::TextSource(std::vector<TokenRow> rows, TextOptions options)
    : options_(std::move(options)),
      windows_(std::move(rows), {.length = options_.sequence,
                                 .more = 1,
                                 .batch = options_.batch,
                                 .seed = options_.seed,
                                 .order = options_.order,
                                 .vocab = options_.vocab}) {
  if (options_.masking) masker_.emplace(*options_.masking, options_.seed);
}

TextSource::Field TextSource::field_named(const std::string& name) const {
  if (name == "ids") return Field::ids;
  if (name == "labels") return Field::labels;
  if (name == "positions") return Field::positions;
  if (masker_ && name == "segments") return Field::segments;
  if (masker_ && name == "mask") return Field::mask;
  if (masker_)
    throw Error(ExitCode::unsupported, fmt::format("data 'masked_text' has no field '{}', which the model reads", name),
                "it has ids, labels, positions, segments and mask: it trains models that restore masked tokens");
  throw Error(ExitCode::unsupported, fmt::format("data 'text' has no field '{}', which the model reads", name),
              "text has ids, labels and positions: it trains models that predict the next token; "
              "masked_text trains models that restore masked ones");
}

// The first tokens of a sample.
std::vector<std::int64_t> TextSource::tokens(std::int64_t sample, std::int64_t end) const {
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(end));
  windows_.read(sample, 0, tokens);
  return tokens;
}

void TextSource::write_positions(std::int64_t sample, std::int64_t begin, std::span<std::int64_t> out) const {
  std::iota(out.begin(), out.end(), begin);
  if (!options_.restart_behind) return;
  const auto size = static_cast<std::int64_t>(out.size());
  const std::vector<std::int64_t> before = tokens(sample, begin + size);
  std::int64_t start = 0;
  for (std::int64_t p = 0; p < begin + size; ++p) {
    if (p > 0 && before[static_cast<std::size_t>(p) - 1] == *options_.restart_behind) start = p;
    if (p >= begin) out[static_cast<std::size_t>(p - begin)] = p - start;
  }
}

// What a sample has from position `begin` on.
void TextSource::write(Field field, std::int64_t cursor, std::int64_t sample, std::int64_t begin,
                       std::span<std::int64_t> out) const {
  switch (field) {
    case Field::segments: std::ranges::fill(out, 0); return;
    case Field::mask: std::ranges::fill(out, 1); return;
    case Field::positions: write_positions(sample, begin, out); return;
    case Field::ids:
    case Field::labels: break;
  }
  if (!masker_) return windows_.read(sample, begin + (field == Field::labels ? 1 : 0), out);
  std::vector<std::int64_t> whole = tokens(sample, begin + static_cast<std::int64_t>(out.size()));
  if (field == Field::ids) masker_->hide(cursor, 0, whole);
  else masker_->ask(cursor, 0, whole);
  std::copy(whole.begin() + begin, whole.end(), out.begin());
}

at::Tensor TextSource::field(const FieldRequest& request) const {
  const Field field = field_named(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  const std::int64_t filled = std::clamp<std::int64_t>(options_.sequence - request.position_begin, 0, positions);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::span out(result.data_ptr<std::int64_t>() + row * positions, static_cast<std::size_t>(positions));
    const std::int64_t sample = this->sample(request.step, request.row_begin + row);
    const auto there = static_cast<std::size_t>(sample < 0 ? 0 : filled);
    std::ranges::fill(out.subspan(there), field == Field::labels ? -1 : 0);
    const std::int64_t cursor = request.step * options_.batch + request.row_begin + row;
    if (there > 0) write(field, cursor, sample, request.position_begin, out.first(there));
  }
  return result;
}

std::int64_t TextSource::counted_items(std::int64_t step, std::string_view labels) const {
  if (labels != "labels") field_named(std::string(labels));
  const std::int64_t rows = windows_.order().rows(step);
  if (!masker_) return rows * options_.sequence;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    count += masker_->count(step * options_.batch + row, 0, tokens(sample(step, row), options_.sequence));
  return count;
}

}  // namespace trellis::data
