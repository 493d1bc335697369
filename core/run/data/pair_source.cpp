#include "run/data/pair_source.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

// Streams of random numbers; kElsewhere has one for each try.
constexpr std::uint64_t kFollows = 0x70616972, kBorder = kFollows + 1, kCutA = kFollows + 2, kCutB = kFollows + 3,
                        kElsewhere = kFollows + 4;
constexpr std::uint64_t kTries = 10;  // to find another document
constexpr std::string_view kFollower = "next_sentence_labels";

void check_field(std::string_view name) {
  for (const std::string_view known : {std::string_view("ids"), std::string_view("positions"), std::string_view("segments"),
                                       std::string_view("mask"), std::string_view("labels"), kFollower})
    if (name == known) return;
  throw Error(ExitCode::unsupported, fmt::format("data 'sentence_pairs' has no field '{}', which the model reads", name),
              "it has ids, positions, segments, mask, labels and next_sentence_labels: it trains task pretraining of bert");
}

std::int64_t length(const std::vector<std::int64_t>& tokens) { return static_cast<std::int64_t>(tokens.size()); }

void cut(std::vector<std::int64_t>& tokens, std::int64_t count, std::uint64_t random) {
  const auto front = static_cast<std::ptrdiff_t>(random % static_cast<std::uint64_t>(count + 1));
  tokens.erase(tokens.begin(), tokens.begin() + front);
  tokens.resize(tokens.size() - static_cast<std::size_t>(count - front));
}

}  // namespace

PairSource::PairSource(std::vector<Sentences> sources, PairOptions options)
    : options_(std::move(options)), masker_(options_.masking, options_.seed) {
  const auto is_empty = [](const Sentences& text) { return text.size() == 0; };
  if (options_.order == Order::in_turn && !std::ranges::all_of(sources, is_empty)) std::erase_if(sources, is_empty);
  std::vector<SourceSize> sizes;
  for (Sentences& text : sources) {
    if (is_empty(text))
      throw Error(ExitCode::bad_input, fmt::format("there is no sentence{}", sources.size() == 1 ? "" : fmt::format(" in '{}'", text.name)), "more text");
    std::vector<std::int64_t> chunks = chunks_of(text, options_.sequence - 3);
    sizes.push_back({static_cast<std::int64_t>(chunks.size()), text.weight});
    sources_.push_back({std::move(text), std::move(chunks)});
  }
  order_.emplace(sizes, options_.batch, options_.seed, options_.order);
}

// A chunk ends where it has so many tokens, and with its document.
std::vector<std::int64_t> PairSource::chunks_of(const Sentences& text, std::int64_t tokens) {
  std::vector<std::int64_t> chunks;
  std::int64_t first = 0, document = 0;
  for (std::int64_t sentence = 0; sentence < text.size(); ++sentence) {
    const bool last = text.documents[static_cast<std::size_t>(document)] == sentence + 1;
    document += last;
    if (!last && text.begin(sentence + 1) - text.begin(first) < tokens) continue;
    chunks.push_back(first = sentence + 1);
  }
  return chunks;
}

std::uint64_t PairSource::random(std::uint64_t stream, std::int64_t cursor) const {
  return mix({options_.seed, stream, static_cast<std::uint64_t>(cursor)});
}

std::vector<std::int64_t> PairSource::read(const Sentences& text, std::int64_t first, std::int64_t last) const {
  // Longer sentences than two sequences are cut anyway.
  const std::int64_t begin = text.begin(first), size = std::min(text.begin(last) - begin, 2 * options_.sequence);
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(size));
  text.tokens->read(begin, tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= options_.vocab)
      throw Error(ExitCode::bad_input,
                  fmt::format("data: '{}' has token {} at place {}, and the model's vocabulary has {}", text.name, tokens[i],
                              begin + static_cast<std::int64_t>(i), options_.vocab),
                  "the files were made with another tokenizer, or model.vocab is too small");
  return tokens;
}

// A sentence of another document, if that is found.
std::int64_t PairSource::elsewhere(const Sentences& text, std::int64_t sentence, std::int64_t cursor) const {
  std::int64_t found = 0;
  for (std::uint64_t i = 0; i < kTries; ++i) {
    found = static_cast<std::int64_t>(random(kElsewhere + i, cursor) % static_cast<std::uint64_t>(text.size()));
    if (text.document_of(found) != text.document_of(sentence)) break;
  }
  return found;
}

PairSource::Pair PairSource::pair(std::int64_t cursor, std::int64_t sample) const {
  const auto [number, index] = order_->place(sample);
  const auto& [text, chunks] = sources_[number];
  const std::int64_t first = index == 0 ? 0 : chunks[static_cast<std::size_t>(index) - 1];
  const std::int64_t last = chunks[static_cast<std::size_t>(index)], size = last - first;
  std::int64_t border = last;
  if (size > 1) border = first + 1 + static_cast<std::int64_t>(random(kBorder, cursor) % static_cast<std::uint64_t>(size - 1));
  Pair pair{.a = read(text, first, border), .follows = size > 1 && random(kFollows, cursor) % 2 == 0};
  if (pair.follows) {
    pair.b = read(text, border, last);
  } else {
    const std::int64_t begin = elsewhere(text, first, cursor);
    const std::int64_t end = text.documents[static_cast<std::size_t>(text.document_of(begin))];
    const std::int64_t wanted = std::max<std::int64_t>(options_.sequence - 3 - length(pair.a), 1);
    std::int64_t until = begin + 1;
    while (until < end && text.begin(until) - text.begin(begin) < wanted) ++until;
    pair.b = read(text, begin, until);
  }
  shorten(pair, cursor);
  return pair;
}

void PairSource::shorten(Pair& pair, std::int64_t cursor) const {
  std::int64_t a = length(pair.a), b = length(pair.b);
  while (a + b > options_.sequence - 3) --(a > b ? a : b);
  cut(pair.a, length(pair.a) - a, random(kCutA, cursor));
  cut(pair.b, length(pair.b) - b, random(kCutB, cursor));
}

void PairSource::write(const Pair& pair, std::int64_t cursor, const std::string& field, std::int64_t begin,
                       std::span<std::int64_t> out) const {
  const auto second = length(pair.a) + 2;  // where b is
  Pair shown = pair;
  if (field == "ids") masker_.hide(cursor, 1, shown.a), masker_.hide(cursor, second, shown.b);
  if (field != "labels") return write_framed(Framed::two(options_.cls, shown.a, shown.b, options_.sep), field, begin, out);
  masker_.ask(cursor, 1, shown.a), masker_.ask(cursor, second, shown.b);
  const Framed labels = Framed::two(-1, shown.a, shown.b, -1);
  const std::int64_t size = std::clamp<std::int64_t>(length(labels.ids) - begin, 0, static_cast<std::int64_t>(out.size()));
  std::copy_n(labels.ids.begin() + std::min(begin, length(labels.ids)), size, out.begin());
}

at::Tensor PairSource::field(const FieldRequest& request) const {
  check_field(request.name);
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::span out(result.data_ptr<std::int64_t>() + row * positions, static_cast<std::size_t>(positions));
    std::ranges::fill(out, request.name == "labels" || request.name == kFollower ? -1 : 0);
    const std::int64_t number = request.row_begin + row, sample = order()(request.step, number);
    if (sample < 0) continue;
    const std::int64_t cursor = request.step * options_.batch + number;
    const Pair pair = this->pair(cursor, sample);
    const std::int64_t there = std::clamp<std::int64_t>(options_.sequence - request.position_begin, 0, positions);
    if (request.name == kFollower) std::ranges::fill(out, pair.follows ? 0 : 1);
    else write(pair, cursor, request.name, request.position_begin, out.first(static_cast<std::size_t>(there)));
  }
  return result;
}

std::int64_t PairSource::counted_items(std::int64_t step, std::string_view labels) const {
  check_field(labels);
  const std::int64_t rows = order().rows(step);
  if (labels == kFollower) return rows;
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t cursor = step * options_.batch + row;
    const Pair pair = this->pair(cursor, order()(step, row));
    count += masker_.count(cursor, 1, pair.a) + masker_.count(cursor, length(pair.a) + 2, pair.b);
  }
  return count;
}

}  // namespace trellis::data
