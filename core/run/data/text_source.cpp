#include "run/data/text_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "run/data/permutation.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

// Of each position: whether it is masked, by what, and which random token.
constexpr std::uint64_t kChosen = 0x6d61736b, kFate = kChosen + 1, kRandomToken = kChosen + 2;

double uniform(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

std::vector<TokenRow> one_row(std::span<const std::uint16_t> text) {
  return {{.tokens = in_memory({text.begin(), text.end()})}};
}

std::int64_t samples_of(const TokenRow& row, std::int64_t sequence) {
  return std::max<std::int64_t>(row.tokens->size() - 1, 0) / sequence;
}

}  // namespace

TextSource::TextSource(std::span<const std::uint16_t> text, TextOptions options) : TextSource(one_row(text), options) {}

TextSource::TextSource(std::vector<TokenRow> rows, TextOptions options) : rows_(std::move(rows)), options_(options) {
  const auto is_short = [&](const TokenRow& row) { return samples_of(row, options_.sequence) == 0; };
  if (options_.order == Order::in_turn && !std::ranges::all_of(rows_, is_short)) std::erase_if(rows_, is_short);
  std::vector<double> weights;
  std::vector<std::int64_t> counts;
  for (const TokenRow& row : rows_) {
    if (is_short(row))
      throw Error(ExitCode::bad_input,
                  fmt::format("a sample has {} tokens, and there are only {}{}", options_.sequence + 1,
                              row.tokens->size(), rows_.size() == 1 ? "" : fmt::format(" in '{}'", row.name)),
                  "more text, or a shorter sequence");
    counts.push_back(samples_of(row, options_.sequence));
    ends_.push_back(samples_ += counts.back());
    // Evaluation sees as much of each row as there is: its first batches are like all of them.
    weights.push_back(options_.order == Order::in_turn ? static_cast<double>(counts.back()) : row.weight);
  }
  blend_ = std::make_unique<const Blend>(
      std::move(weights), options_.order == Order::in_turn ? std::move(counts) : std::vector<std::int64_t>());
}

std::int64_t TextSource::sample(std::int64_t step, std::int64_t row) const {
  if (row >= options_.batch) return -1;
  const std::int64_t cursor = step * options_.batch + row;
  if (options_.order == Order::in_turn && cursor >= samples_) return -1;
  const Blended blended = (*blend_)(cursor);
  const auto source = static_cast<std::uint64_t>(blended.source);
  const std::int64_t first = source == 0 ? 0 : ends_[source - 1], count = ends_[source] - first;
  if (options_.order == Order::in_turn) return first + blended.index;
  const auto epoch = static_cast<std::uint64_t>(blended.index / count);
  const std::uint64_t key = source == 0 ? mix({options_.seed, epoch}) : mix({options_.seed, epoch, source});
  const Permutation order(static_cast<std::uint64_t>(count), key);
  return first + static_cast<std::int64_t>(order(static_cast<std::uint64_t>(blended.index % count)));
}

TextSource::Place TextSource::place(std::int64_t sample) const {
  const auto row = static_cast<std::size_t>(std::ranges::upper_bound(ends_, sample) - ends_.begin());
  return {&rows_[row], (sample - (row == 0 ? 0 : ends_[row - 1])) * options_.sequence};
}

void TextSource::read(const Place& place, std::int64_t from, std::span<std::int64_t> out) const {
  place.row->tokens->read(place.begin + from, out);
  if (options_.vocab == 0) return;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out[i] < 0 || out[i] >= options_.vocab)
      throw Error(ExitCode::bad_input,
                  fmt::format("data: '{}' has token {} at place {}, and the model's vocabulary has {}", place.row->name,
                              out[i], place.begin + from + static_cast<std::int64_t>(i), options_.vocab),
                  "the files were made with another tokenizer, or model.vocab is too small");
}

void TextSource::write_positions(const Place& place, std::int64_t begin, std::int64_t end, std::int64_t* out) const {
  if (!options_.restart_behind) {
    for (std::int64_t p = begin; p < end; ++p) *out++ = p;
    return;
  }
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(end));
  read(place, 0, tokens);
  std::int64_t start = 0;
  for (std::int64_t p = 0; p < end; ++p) {
    if (p > 0 && tokens[static_cast<std::size_t>(p) - 1] == *options_.restart_behind) start = p;
    if (p >= begin) *out++ = p - start;
  }
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

bool TextSource::is_chosen(std::int64_t cursor, std::int64_t position) const {
  return uniform(mix({options_.seed, kChosen, static_cast<std::uint64_t>(cursor), static_cast<std::uint64_t>(position)})) <
         options_.masking->share;
}

// What the model sees in place of the token, or is to tell of it.
std::int64_t TextSource::masked(Field field, std::int64_t cursor, std::int64_t position, std::int64_t token) const {
  const bool chosen = is_chosen(cursor, position);
  if (field == Field::labels) return chosen ? token : -1;
  if (!chosen) return token;
  const auto random = [&](std::uint64_t stream) {
    return mix({options_.seed, stream, static_cast<std::uint64_t>(cursor), static_cast<std::uint64_t>(position)});
  };
  const double fate = uniform(random(kFate));
  if (fate < 0.8) return options_.masking->mask_id;
  if (fate >= 0.9) return token;
  return static_cast<std::int64_t>(random(kRandomToken) % static_cast<std::uint64_t>(options_.masking->vocab));
}

at::Tensor TextSource::field(const FieldRequest& request) const {
  const Field field = field_named(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  const std::int64_t filled = std::clamp<std::int64_t>(options_.sequence - request.position_begin, 0, positions);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t* const out = result.data_ptr<std::int64_t>() + row * positions;
    const std::int64_t sample = this->sample(request.step, request.row_begin + row);
    const std::int64_t count = sample < 0 ? 0 : filled;
    std::fill(out, out + count, field == Field::mask ? 1 : 0);
    std::fill(out + count, out + positions, field == Field::labels ? -1 : 0);
    if (count == 0 || field == Field::mask || field == Field::segments) continue;
    const Place place = this->place(sample);
    const std::int64_t begin = request.position_begin;
    if (field == Field::positions) {
      write_positions(place, begin, begin + count, out);
      continue;
    }
    const bool is_next = field == Field::labels && !options_.masking;
    read(place, begin + (is_next ? 1 : 0), {out, static_cast<std::size_t>(count)});
    const std::int64_t cursor = request.step * options_.batch + request.row_begin + row;
    if (options_.masking)
      for (std::int64_t p = 0; p < count; ++p) out[p] = masked(field, cursor, begin + p, out[p]);
  }
  return result;
}

std::int64_t TextSource::counted_items(std::int64_t step, std::string_view labels) const {
  if (labels != "labels") field_named(std::string(labels));
  std::int64_t rows = options_.batch;
  if (options_.order == Order::in_turn) rows = std::clamp<std::int64_t>(samples_ - step * rows, 0, rows);
  if (!options_.masking) return rows * options_.sequence;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t p = 0; p < options_.sequence; ++p) count += is_chosen(step * options_.batch + row, p);
  return count;
}

Text Text::read(const DataSection& section, const Tokenizer* tokenizer) {
  TokenRows rows = read_rows(section, tokenizer);
  Text text;
  text.files = rows.files;
  text.end_of_document = rows.end_of_document;
  for (TokenRow& row : rows.rows) {
    const std::int64_t size = row.tokens->size();
    const auto held_out = static_cast<std::int64_t>(static_cast<double>(size) * section.held_out);
    text.tokens += size;
    text.training.push_back({part_of(row.tokens, 0, size - held_out), row.weight, row.name});
    text.held_out.push_back({part_of(row.tokens, size - held_out, size), row.weight, row.name});
  }
  text.unigram_entropy = data::unigram_entropy(text.training);
  return text;
}

}  // namespace trellis::data
