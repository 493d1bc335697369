#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "run/data/labelled_source.h"
#include "unit/run/data_support.h"

using namespace trellis;
using namespace trellis::data;
using testing::error_of;
using testing::field;

namespace {

using Values = std::vector<std::int64_t>;

std::shared_ptr<const LabelledTexts> letters(int count) {
  LabelledTexts texts;
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k <= i; ++k) texts.tokens.push_back(10 * i + k);  // one token more in each
    texts.ends.push_back(texts.tokens.size());
    texts.labels.push_back(i % 2);
  }
  return std::make_shared<const LabelledTexts>(texts);
}

Values counted(int count) {
  Values values;
  for (int i = 0; i < count; ++i) values.push_back(i);
  return values;
}

}  // namespace

TEST_CASE("a labelled sample is its text between two borders, then padding, and has one label") {
  const LabelledSource source({{letters(6), counted(6)}}, {.sequence = 6, .cls = 100, .sep = 101, .batch = 6, .order = Order::in_turn});
  CHECK(field(source, "ids", 0, 1, 2, 0, 7) == Values{100, 10, 11, 101, 0, 0, 0});
  CHECK(field(source, "mask", 0, 1, 2, 0, 7) == Values{1, 1, 1, 1, 0, 0, 0});
  CHECK(field(source, "positions", 0, 1, 2, 0, 7) == Values{0, 1, 2, 3, 4, 5, 0});
  CHECK(field(source, "segments", 0, 1, 2, 0, 7) == Values(7, 0));
  CHECK(field(source, "ids", 0, 5, 6, 0, 6) == Values{100, 50, 51, 52, 53, 101});  // cut
  CHECK(field(source, "ids", 0, 1, 3, 2, 5) == Values{11, 101, 0, 21, 22, 101});   // as a rank cuts it
  CHECK(field(source, "labels", 0, 0, 7, 0, 1) == Values{0, 1, 0, 1, 0, 1, -1});
  CHECK(source.counted_items(0, "labels") == 6);
  CHECK(source.counted_items(1, "labels") == 0);
  CHECK(error_of([&] { source.field({.name = "patches"}); }) ==
        "data 'labelled_text' has no field 'patches', which the model reads\n"
        "    it has ids, positions, segments, mask and a label for each sample: it trains models that classify texts");
}

TEST_CASE("an epoch has every labelled text once, whatever the batch, and label and text stay together") {
  const auto order = [](std::int64_t batch) {
    const LabelledSource source({{letters(7), counted(7)}}, {.sequence = 12, .cls = 100, .sep = 101, .batch = batch, .seed = 2});
    Values result;
    for (std::int64_t i = 0; i < 28; ++i) {
      const std::int64_t first = field(source, "ids", i / batch, i % batch, i % batch + 1, 1, 2)[0];
      CHECK(field(source, "labels", i / batch, i % batch, i % batch + 1, 0, 1) == Values{first / 10 % 2});
      result.push_back(first / 10);
    }
    return result;
  };
  const Values one = order(1);
  CHECK(order(4) == one);
  CHECK(std::set<std::int64_t>(one.begin(), one.begin() + 7).size() == 7);
  CHECK(std::set<std::int64_t>(one.begin() + 7, one.begin() + 14).size() == 7);
}
