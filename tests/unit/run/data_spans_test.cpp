#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "run/data/span_source.h"
#include "unit/run/data_support.h"

using namespace trellis;
using namespace trellis::data;
using testing::error_of;
using testing::field;

namespace {

constexpr TokenId kEnd = 900, kFirstSentinel = 999;

std::vector<TokenId> sentinels(int count) {
  std::vector<TokenId> result;
  for (int i = 0; i < count; ++i) result.push_back(kFirstSentinel - i);
  return result;
}

std::vector<TokenRow> counting(int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(i);
  return {{in_memory(std::move(tokens)), 1, "corpus"}};
}

SpanSource source(const SpanLengths& lengths, int tokens, std::int64_t batch, Order order = Order::shuffled) {
  return SpanSource(counting(tokens), {.lengths = lengths, .sentinels = sentinels(100), .end = kEnd, .batch = batch, .seed = 4, .order = order});
}

using Values = std::vector<std::int64_t>;

// The text that the two sides of a sample tell together.
Values restored(const Values& ids, const Values& labels) {
  std::map<std::int64_t, Values> spans;
  std::int64_t sentinel = -1;
  for (const std::int64_t token : labels) {
    if (token == kEnd) break;
    if (token > kEnd) sentinel = token;
    else spans[sentinel].push_back(token);
  }
  Values text;
  for (const std::int64_t token : ids) {
    if (token == kEnd) break;
    if (token < kEnd) text.push_back(token);
    else text.insert(text.end(), spans[token].begin(), spans[token].end());
  }
  return text;
}

}  // namespace

TEST_CASE("corrupted text is as long as T5 makes it: 512 tokens of 568, and 114 to tell") {
  const SpanLengths lengths = longest_text(512, 114, 0.15, 3);
  CHECK(lengths.tokens == 568);
  CHECK(lengths.cut_out == 85);
  CHECK(lengths.spans == 28);
  CHECK(lengths.encoder() == 512);
  CHECK(lengths.decoder() == 114);
  CHECK(longest_text(512, 10'000, 0.15, 3).tokens == 568);
  CHECK(longest_text(10'000, 114, 0.15, 3).tokens == 569);  // the shorter one decides
  CHECK(longest_text(128, 29, 0.15, 3).tokens == 141);
  CHECK(longest_text(1024, 229, 0.15, 3).tokens == 1137);
  CHECK(longest_text(3, 3, 0.15, 3).tokens == 2);
  CHECK(longest_text(2, 100, 0.15, 3).tokens == 0);
}

TEST_CASE("spans never outnumber what is between them, whatever the share") {
  for (const double share : {0.01, 0.15, 0.5, 0.9, 0.99})
    for (const double mean : {1.0, 3.0, 1e9})
      for (std::int64_t tokens = 2; tokens < 200; ++tokens) {
        const SpanLengths lengths = span_lengths(tokens, share, mean);
        CHECK(lengths.spans >= 1);
        CHECK(lengths.cut_out >= lengths.spans);
        CHECK(tokens - lengths.cut_out >= lengths.spans);
      }
}

TEST_CASE("encoder and decoder together tell the text, with one sentinel for each span") {
  const SpanLengths lengths = span_lengths(40, 0.3, 3);  // 12 tokens in 4 spans
  const SpanSource data = source(lengths, 400, 5);
  for (std::int64_t step = 0; step < 6; ++step)
    for (std::int64_t row = 0; row < 5; ++row) {
      const Values ids = field(data, "ids", step, row, row + 1, 0, 35), labels = field(data, "labels", step, row, row + 1, 0, 19);
      CHECK(ids[32] == kEnd);
      CHECK(Values(ids.begin() + 33, ids.end()) == Values{0, 0});
      CHECK(labels[16] == kEnd);
      CHECK(Values(labels.begin() + 17, labels.end()) == Values{-1, -1});
      CHECK(labels[0] == 999);
      Values text;
      for (std::int64_t i = 0; i < 40; ++i) text.push_back(40 * data.order()(step, row) + i);
      CHECK(restored(ids, labels) == text);
      CHECK(ids[0] == text[0]);
      CHECK(labels[15] == text[39]);
    }
  CHECK(data.counted_items(3, "labels") == 5 * 17);
}

TEST_CASE("the decoder sees its labels one place later, behind a zero, and the mask ends with the text") {
  const SpanSource data = source(span_lengths(40, 0.3, 3), 400, 2);
  const Values labels = field(data, "labels", 1, 1, 2, 0, 18);
  Values expected{0};
  expected.insert(expected.end(), labels.begin(), labels.begin() + 16);
  expected.push_back(0);
  CHECK(field(data, "decoder_ids", 1, 1, 2, 0, 18) == expected);
  CHECK(field(data, "mask", 1, 1, 2, 31, 35) == Values{1, 1, 0, 0});
}

TEST_CASE("what ranks cut of corrupted text are pieces of one batch, and surplus rows have no weight") {
  const SpanSource data = source(span_lengths(40, 0.3, 3), 400, 4);
  for (const auto& [name, positions] : {std::pair{"ids", 36}, {"mask", 36}, {"decoder_ids", 20}, {"labels", 20}}) {
    const Values whole = field(data, name, 7, 0, 5, 0, positions);
    for (std::int64_t row = 0; row < 5; ++row)
      for (std::int64_t p = 0; p < positions; p += 4)
        CHECK(field(data, name, 7, row, row + 1, p, p + 4) ==
              Values(whole.begin() + row * positions + p, whole.begin() + row * positions + p + 4));
    const std::int64_t nothing = std::string(name) == "labels" ? -1 : 0;
    CHECK(Values(whole.begin() + 4 * positions, whole.end()) == Values(static_cast<std::size_t>(positions), nothing));
  }
}

TEST_CASE("spans are drawn anew in each epoch, and the same whatever the batch; every epoch has every sample once") {
  const auto epochs = [](std::int64_t batch) {
    const SpanSource data = source(span_lengths(40, 0.3, 3), 400, batch);
    std::vector<std::pair<std::int64_t, Values>> rows;
    for (std::int64_t i = 0; i < 60; ++i)
      rows.emplace_back(data.order()(i / batch, i % batch), field(data, "ids", i / batch, i % batch, i % batch + 1, 0, 33));
    return rows;
  };
  const auto one = epochs(1);
  CHECK(epochs(4) == one);
  CHECK(epochs(10) == one);
  std::set<Values> seen;  // of sample 5
  for (const auto& [sample, ids] : one)
    if (sample == 5) seen.insert(ids);
  CHECK(seen.size() == 6);
  for (std::size_t epoch = 0; epoch < 6; ++epoch) {
    std::set<std::int64_t> samples;
    for (std::size_t i = 0; i < 10; ++i) samples.insert(one[10 * epoch + i].first);
    CHECK(samples.size() == 10);
  }
}

TEST_CASE("each share of a sample is cut out about as often as another") {
  const SpanSource data = source(span_lengths(40, 0.3, 3), 400, 100);
  std::vector<int> cut_out(40);
  for (std::int64_t step = 0; step < 20; ++step) {
    const Values labels = field(data, "labels", step, 0, 100, 0, 17);
    for (const std::int64_t label : labels)
      if (label < kEnd) ++cut_out[static_cast<std::size_t>(label % 40)];
  }
  CHECK(cut_out[0] == 0);  // text comes first, and a span last
  CHECK(cut_out[39] == 2000);
  for (std::size_t i = 8; i < 32; ++i) CHECK(cut_out[i] / 2000.0 == doctest::Approx(0.28).epsilon(0.25));
}

TEST_CASE("held-out text is corrupted once, in turn, and then there is nothing") {
  const SpanSource data = source(span_lengths(40, 0.3, 3), 130, 2, Order::in_turn);  // three samples
  CHECK(data.order().steps_in_turn() == 2);
  CHECK(data.counted_items(0, "labels") == 34);
  CHECK(data.counted_items(1, "labels") == 17);
  CHECK(data.counted_items(2, "labels") == 0);
  CHECK(field(data, "labels", 1, 1, 2, 0, 3) == Values{-1, -1, -1});
  CHECK(field(data, "ids", 1, 0, 1, 0, 1) == Values{80});
}

TEST_CASE("a field that corrupted text does not have is named, and so is a token that the model does not know") {
  const SpanSource data = source(span_lengths(40, 0.3, 3), 400, 2);
  CHECK(error_of([&] { data.field({.name = "positions"}); }) ==
        "data 'span_corruption' has no field 'positions', which the model reads\n"
        "    it has ids, mask, decoder_ids and labels: it trains models with an encoder and a decoder");
  const SpanSource small(counting(40), {.lengths = span_lengths(40, 0.3, 3), .sentinels = sentinels(4), .end = kEnd, .batch = 1, .vocab = 30});
  CHECK(error_of([&] { field(small, "ids", 0, 0, 1, 0, 4); }).starts_with("data: 'corpus' has token 30 at place 30"));
}
