#include "run/data/labelled_source.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "run/data/framed.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

std::vector<SourceSize> sizes_of(const std::vector<LabelledSamples>& sources) {
  std::vector<SourceSize> sizes;
  for (const LabelledSamples& source : sources)
    sizes.push_back({static_cast<std::int64_t>(source.chosen.size()), source.weight});
  return sizes;
}

void check_field(std::string_view name) {
  for (const std::string_view known : {"ids", "positions", "segments", "mask", "labels"})
    if (name == known) return;
  throw Error(ExitCode::unsupported, fmt::format("data 'labelled_text' has no field '{}', which the model reads", name),
              "it has ids, positions, segments, mask and a label for each sample: it trains models that classify texts");
}

}  // namespace

LabelledSource::LabelledSource(std::vector<LabelledSamples> sources, LabelledOptions options)
    : sources_(std::move(sources)), options_(options), order_(sizes_of(sources_), options.batch, options.seed, options.order) {}

at::Tensor LabelledSource::field(const FieldRequest& request) const {
  check_field(request.name);
  const bool labels = request.name == "labels";
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::span out(result.data_ptr<std::int64_t>() + row * positions, static_cast<std::size_t>(positions));
    std::ranges::fill(out, labels ? -1 : 0);
    const std::int64_t sample = order_(request.step, request.row_begin + row);
    if (sample < 0) continue;
    const auto [source, index] = order_.place(sample);
    const LabelledTexts& texts = *sources_[source].texts;
    const auto text = static_cast<std::size_t>(sources_[source].chosen[static_cast<std::size_t>(index)]);
    if (labels) {
      std::ranges::fill(out, texts.labels[text]);
      continue;
    }
    const std::size_t begin = text == 0 ? 0 : texts.ends[text - 1];
    const auto size = std::min(texts.ends[text] - begin, static_cast<std::size_t>(options_.sequence) - 2);
    const auto first = texts.tokens.begin() + static_cast<std::ptrdiff_t>(begin);
    const std::vector<std::int64_t> tokens(first, first + static_cast<std::ptrdiff_t>(size));
    const std::int64_t there = std::clamp<std::int64_t>(options_.sequence - request.position_begin, 0, positions);
    write_framed(Framed::one(options_.cls, tokens, options_.sep), request.name, request.position_begin,
                 out.first(static_cast<std::size_t>(there)));
  }
  return result;
}

std::int64_t LabelledSource::counted_items(std::int64_t step, std::string_view labels) const {
  check_field(labels);
  return order_.rows(step);
}

}  // namespace trellis::data
