#include "run/data/span_source.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

constexpr std::uint64_t kSpans = 0x7370616e, kGaps = kSpans + 1;  // streams of random numbers
constexpr std::int64_t kStart = 0;                                // what a decoder sees first: T5's padding

// `total` as a sum of `parts` numbers, each 1 or more; every such sum is as likely: of the total - 1 places between two
// items so many are borders.
std::vector<std::int64_t> random_parts(std::int64_t total, std::int64_t parts, std::uint64_t key) {
  std::vector<std::int64_t> sizes(1, 1);
  for (std::int64_t place = 1; place < total; ++place) {
    const auto left = static_cast<std::uint64_t>(total - place);
    const auto borders = static_cast<std::uint64_t>(parts) - sizes.size();
    if (mix({key, static_cast<std::uint64_t>(place)}) % left < borders) sizes.push_back(1);
    else ++sizes.back();
  }
  return sizes;
}

}  // namespace

SpanSource::SpanSource(std::vector<TokenRow> rows, SpanOptions options)
    : options_(std::move(options)),
      windows_(std::move(rows), {.length = options_.lengths.tokens,
                                 .batch = options_.batch,
                                 .seed = options_.seed,
                                 .order = options_.order,
                                 .vocab = options_.vocab}) {}

SpanSource::Field SpanSource::field_named(const std::string& name) {
  if (name == "ids") return Field::ids;
  if (name == "mask") return Field::mask;
  if (name == "decoder_ids") return Field::decoder_ids;
  if (name == "labels") return Field::labels;
  throw Error(ExitCode::unsupported, fmt::format("data 'span_corruption' has no field '{}', which the model reads", name),
              "it has ids, mask, decoder_ids and labels: it trains models with an encoder and a decoder");
}

// One of the two sides of a sample, which are the same text with spans and the rest between them in exchanged roles.
std::vector<std::int64_t> SpanSource::values(Field field, std::int64_t cursor, std::int64_t sample) const {
  const SpanLengths& lengths = options_.lengths;
  if (field == Field::mask) return std::vector<std::int64_t>(static_cast<std::size_t>(lengths.encoder()), 1);
  std::vector<std::int64_t> text(static_cast<std::size_t>(lengths.tokens)), result;
  windows_.read(sample, 0, text);
  const auto key = [&](std::uint64_t stream) { return mix({options_.seed, stream, static_cast<std::uint64_t>(cursor)}); };
  const std::vector<std::int64_t> spans = random_parts(lengths.cut_out, lengths.spans, key(kSpans));
  const std::vector<std::int64_t> gaps = random_parts(lengths.tokens - lengths.cut_out, lengths.spans, key(kGaps));
  const bool encoder = field == Field::ids;
  if (field == Field::decoder_ids) result.push_back(kStart);
  for (auto [i, at] = std::pair(std::size_t{0}, text.begin()); i < spans.size(); ++i) {
    const auto span = at + gaps[i], end = span + spans[i];
    if (encoder) result.insert(result.end(), at, span);
    result.push_back(options_.sentinels[i]);
    if (!encoder) result.insert(result.end(), span, end);
    at = end;
  }
  result.push_back(options_.end);
  if (field == Field::decoder_ids) result.pop_back();
  return result;
}

at::Tensor SpanSource::field(const FieldRequest& request) const {
  const Field field = field_named(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::span out(result.data_ptr<std::int64_t>() + row * positions, static_cast<std::size_t>(positions));
    std::ranges::fill(out, field == Field::labels ? -1 : 0);
    const std::int64_t number = request.row_begin + row, sample = order()(request.step, number);
    if (sample < 0) continue;
    const std::vector<std::int64_t> values = this->values(field, request.step * options_.batch + number, sample);
    const auto size = static_cast<std::int64_t>(values.size());
    const std::int64_t begin = std::min(request.position_begin, size), end = std::min(request.position_end, size);
    std::copy(values.begin() + begin, values.begin() + end, out.begin());
  }
  return result;
}

std::int64_t SpanSource::counted_items(std::int64_t step, std::string_view labels) const {
  if (labels != "labels") field_named(std::string(labels));
  return order().rows(step) * options_.lengths.decoder();
}

}  // namespace trellis::data
