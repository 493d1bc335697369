#include "run/data/text_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "plan/run/text_files.h"
#include "run/data/permutation.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

enum class Field { ids, labels, positions };

Field field_named(const std::string& name) {
  if (name == "ids") return Field::ids;
  if (name == "labels") return Field::labels;
  if (name == "positions") return Field::positions;
  throw Error(ExitCode::unsupported, fmt::format("data 'text' has no field '{}', which the model reads", name),
              "text has ids, labels and positions: it trains models that predict the next token");
}

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

at::Tensor TextSource::field(const FieldRequest& request) const {
  const Field field = field_named(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  auto* out = result.data_ptr<std::int64_t>();
  const std::int64_t nothing = field == Field::labels ? -1 : 0;
  for (std::int64_t row = request.row_begin; row < request.row_end; ++row) {
    const std::int64_t sample = this->sample(request.step, row);
    const std::uint16_t* tokens = text_.data() + std::max<std::int64_t>(sample, 0) * options_.sequence;
    for (std::int64_t p = request.position_begin; p < request.position_end; ++p, ++out) {
      if (sample < 0 || p >= options_.sequence) *out = nothing;
      else if (field == Field::positions) *out = p;
      else *out = tokens[field == Field::labels ? p + 1 : p];
    }
  }
  return result;
}

std::int64_t TextSource::counted_items(std::int64_t step) const {
  std::int64_t rows = options_.batch;
  if (options_.order == Order::in_turn) rows = std::clamp<std::int64_t>(samples_ - step * rows, 0, rows);
  return rows * options_.sequence;
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
