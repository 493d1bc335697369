#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "run/data/pair_source.h"
#include "unit/run/data_support.h"

using namespace trellis;
using namespace trellis::data;
using testing::error_of;
using testing::field;

namespace {

using Values = std::vector<std::int64_t>;
constexpr std::int64_t kCls = 5000, kSep = 5001, kMask = 5002;

// So many documents of ten sentences of four tokens: token = 40 x document + place.
Sentences counting(int documents) {
  Sentences s{.name = "corpus"};
  std::vector<TokenId> tokens;
  for (int i = 0; i < 40 * documents; ++i) tokens.push_back(i);
  for (int i = 1; i <= 10 * documents; ++i) s.ends.push_back(4 * i);
  for (int i = 1; i <= documents; ++i) s.documents.push_back(10 * i);
  s.tokens = in_memory(std::move(tokens));
  return s;
}

PairSource source(int documents, std::int64_t batch, double share = 1e-9, Order order = Order::shuffled) {
  return PairSource({counting(documents)}, {.sequence = 19, .cls = kCls, .sep = kSep, .masking = {.share = share, .mask_id = kMask, .vocab = 400},
                                            .vocab = 6000, .batch = batch, .seed = 8, .order = order});
}

}  // namespace

TEST_CASE("half of the pairs follow each other, the others come from another document, and each is framed") {
  const PairSource data = source(5, 50);
  CHECK(data.order().samples() == 15);  // of ten sentences: 16 tokens, 16 tokens, 8 tokens
  int follows = 0;
  for (std::int64_t step = 0; step < 10; ++step)
    for (std::int64_t row = 0; row < 50; ++row) {
      const Values ids = field(data, "ids", step, row, row + 1, 0, 19), segments = field(data, "segments", step, row, row + 1, 0, 19),
                   mask = field(data, "mask", step, row, row + 1, 0, 19);
      const std::int64_t label = field(data, "next_sentence_labels", step, row, row + 1, 0, 1)[0];
      CHECK(ids[0] == kCls);
      std::size_t a = 1, b = 0, end = 0;  // where the second text begins, and the padding
      for (std::size_t i = 1; i < ids.size(); ++i)
        if (ids[i] == kSep) (b == 0 ? b : end) = i + 1;
      REQUIRE(end > b);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        CHECK(segments[i] == (i >= b && i < end ? 1 : 0));
        CHECK(mask[i] == (i < end ? 1 : 0));
        if (i >= end) CHECK(ids[i] == 0);
      }
      for (const auto& [from, to] : {std::pair(a, b - 1), {b, end - 1}})
        for (std::size_t i = from + 1; i < to; ++i) CHECK(ids[i] == ids[i - 1] + 1);
      if (label == 0) CHECK(ids[b] == ids[b - 2] + 1);
      else CHECK(ids[b] / 40 != ids[a] / 40);
      follows += label == 0;
    }
  CHECK(follows / 500.0 == doctest::Approx(0.5).epsilon(0.12));
  CHECK(data.counted_items(0, "next_sentence_labels") == 50);
}

TEST_CASE("too long a pair loses tokens of its longer part, at either end") {
  Sentences s{.name = "corpus"};
  std::vector<TokenId> tokens(150, 7);
  s.tokens = in_memory(tokens);
  s.ends = {10, 100, 150};
  s.documents = {2, 3};
  const PairSource data({s}, {.sequence = 23, .cls = kCls, .sep = kSep, .masking = {.share = 1e-9}, .vocab = 6000, .batch = 64, .seed = 1});
  CHECK(data.order().samples() == 2);
  for (std::int64_t row = 0; row < 64; ++row) {
    const Values ids = field(data, "ids", 0, row, row + 1, 0, 23);
    CHECK(std::ranges::count(ids, kSep) == 2);
    CHECK(ids[22] == kSep);  // it is full
    CHECK(ids[11] == kSep);  // ten tokens of each
  }
}

TEST_CASE("tokens of pairs are masked, borders never; labels are those tokens, and their count is right") {
  const PairSource data = source(5, 40, 0.3);
  std::int64_t asked = 0, masked = 0, there = 0;
  const Values ids = field(data, "ids", 3, 0, 40, 0, 20), labels = field(data, "labels", 3, 0, 40, 0, 20);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == kCls || ids[i] == kSep) CHECK(labels[i] == -1);
    else if (labels[i] < 0) CHECK(ids[i] < 200);
    asked += labels[i] >= 0, masked += ids[i] == kMask, there += ids[i] != kCls && ids[i] != kSep;
  }
  CHECK(asked == data.counted_items(3, "labels"));
  CHECK(masked / double(asked) == doctest::Approx(0.8).epsilon(0.2));
  for (std::int64_t row = 0; row < 40; ++row)  // as ranks cut it
    for (std::int64_t p = 0; p < 20; p += 5)
      for (const auto& [name, whole] : {std::pair("ids", ids), {"labels", labels}})
        CHECK(field(data, name, 3, row, row + 1, p, p + 5) == Values(whole.begin() + 20 * row + p, whole.begin() + 20 * row + p + 5));
}

TEST_CASE("pairs are drawn anew in each epoch, the same whatever the batch; in turn each comes once") {
  const auto rows = [](std::int64_t batch) {
    const PairSource data = source(5, batch);
    std::vector<std::pair<std::int64_t, Values>> result;
    for (std::int64_t i = 0; i < 60; ++i)
      result.emplace_back(data.order()(i / batch, i % batch), field(data, "ids", i / batch, i % batch, i % batch + 1, 0, 19));
    return result;
  };
  const auto one = rows(1);
  CHECK(rows(12) == one);
  std::set<Values> seen;  // of sample 4
  for (const auto& [sample, ids] : one)
    if (sample == 4) seen.insert(ids);
  CHECK(seen.size() >= 3);
  const PairSource in_turn = source(5, 8, 0.3, Order::in_turn);
  CHECK(in_turn.order().steps_in_turn() == 2);
  CHECK(in_turn.counted_items(1, "next_sentence_labels") == 7);
  CHECK(field(in_turn, "next_sentence_labels", 1, 7, 8, 0, 1) == Values{-1});
  CHECK(field(in_turn, "labels", 1, 7, 8, 0, 2) == Values{-1, -1});
  CHECK(in_turn.counted_items(2, "labels") == 0);
}

TEST_CASE("a field that pairs do not have is named, and so is a token that the model does not know") {
  CHECK(error_of([] { source(2, 1).field({.name = "patches"}); }) ==
        "data 'sentence_pairs' has no field 'patches', which the model reads\n"
        "    it has ids, positions, segments, mask, labels and next_sentence_labels: it trains task pretraining of bert");
  const PairSource small({counting(1)}, {.sequence = 19, .vocab = 2, .batch = 1});
  CHECK(error_of([&] { field(small, "ids", 0, 0, 1, 0, 4); }).starts_with("data: 'corpus' has token "));
}
