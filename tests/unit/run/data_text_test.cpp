#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "run/data/permutation.h"
#include "run/data/text_source.h"
#include "run/data/token_stream.h"
#include "unit/run/data_support.h"

using namespace trellis;
using namespace trellis::data;
using testing::error_of;
using testing::field;
using Folder = testing::DataFolder;

namespace {

const Mark kMark = {"run.yaml", 3, 9};

using Tokens = std::vector<std::uint16_t>;

Tokens counting(std::uint16_t count) {
  Tokens tokens;
  for (std::uint16_t i = 0; i < count; ++i) tokens.push_back(i);
  return tokens;
}

}  // namespace

TEST_CASE("a permutation visits every index once, whatever the size") {
  for (const std::uint64_t size : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    const Permutation order(size, 42);
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < size; ++i) seen.insert(order(i));
    CHECK(seen.size() == size);
    CHECK(*seen.rbegin() == size - 1);
  }
}

TEST_CASE("another key is another order, and orders look random") {
  const Permutation a(1000, 1), b(1000, 2);
  int same = 0, neighbors = 0;
  for (std::uint64_t i = 0; i + 1 < 1000; ++i) {
    same += a(i) == b(i) ? 1 : 0;
    neighbors += a(i) + 1 == a(i + 1) ? 1 : 0;
  }
  CHECK(same < 10);
  CHECK(neighbors < 10);
}

TEST_CASE("unigram entropy is that of the frequencies, in nats") {
  const auto entropy = [](std::vector<TokenId> tokens) {
    return unigram_entropy(std::vector<TokenRow>{{.tokens = in_memory(std::move(tokens))}});
  };
  CHECK(entropy({1, 1, 1, 1}) == 0);
  CHECK(entropy({1, 2, 1, 2}) == doctest::Approx(std::log(2)));
  CHECK(entropy({1, 1, 1, 2}) == doctest::Approx(0.5623351446188083));
  const std::vector<TokenRow> rows = {{in_memory({1, 1, 1}), 1}, {in_memory({2}), 3}};  // a quarter and three
  CHECK(unigram_entropy(rows) == doctest::Approx(0.5623351446188083));
}

TEST_CASE("labels are the ids one token later, and positions count") {
  const Tokens text = counting(13);  // three samples of four
  const TextSource source(text, {.sequence = 4, .batch = 2, .seed = 3});
  CHECK(source.order().samples() == 3);
  for (std::int64_t step = 0; step < 6; ++step) {
    for (std::int64_t row = 0; row < 2; ++row) {
      const std::int64_t first = 4 * source.sample(step, row);
      CHECK(field(source, "ids", step, row, row + 1, 0, 4) == std::vector{first, first + 1, first + 2, first + 3});
      CHECK(field(source, "labels", step, row, row + 1, 0, 4) ==
            std::vector{first + 1, first + 2, first + 3, first + 4});
      CHECK(field(source, "positions", step, row, row + 1, 0, 4) == std::vector<std::int64_t>{0, 1, 2, 3});
    }
  }
  CHECK(source.counted_items(5, "labels") == 8);
}

TEST_CASE("an epoch has every sample once, also where batches run over its end") {
  const Tokens text = counting(41);  // ten samples of four
  const TextSource source(text, {.sequence = 4, .batch = 3, .seed = 9});
  std::vector<std::int64_t> order;
  for (std::int64_t step = 0; step < 10; ++step)
    for (std::int64_t row = 0; row < 3; ++row) order.push_back(source.sample(step, row));
  std::set<std::vector<std::int64_t>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    const std::vector<std::int64_t> one(order.begin() + 10 * epoch, order.begin() + 10 * (epoch + 1));
    CHECK(std::set<std::int64_t>(one.begin(), one.end()).size() == 10);
    orders.insert(one);
  }
  CHECK(orders.size() == 3);
}

TEST_CASE("what ranks cut are pieces of one batch") {
  const Tokens text = counting(250);
  const TextSource source(text, {.sequence = 8, .batch = 4, .seed = 1});
  const std::vector<std::int64_t> whole = field(source, "ids", 7, 0, 4, 0, 8);
  for (std::int64_t row = 0; row < 4; ++row)
    for (std::int64_t p = 0; p < 8; p += 4)
      CHECK(field(source, "ids", 7, row, row + 1, p, p + 4) ==
            std::vector<std::int64_t>(whole.begin() + row * 8 + p, whole.begin() + row * 8 + p + 4));
}

TEST_CASE("surplus rows and padding carry no weight") {
  const Tokens text = counting(100);
  const TextSource source(text, {.sequence = 3, .batch = 1, .seed = 1});
  CHECK(field(source, "labels", 0, 1, 2, 0, 4) == std::vector<std::int64_t>{-1, -1, -1, -1});
  CHECK(field(source, "ids", 0, 1, 2, 0, 4) == std::vector<std::int64_t>{0, 0, 0, 0});
  CHECK(field(source, "labels", 0, 0, 1, 3, 4) == std::vector<std::int64_t>{-1});
  CHECK(field(source, "ids", 0, 0, 1, 3, 4) == std::vector<std::int64_t>{0});
  CHECK(field(source, "positions", 0, 0, 1, 2, 4) == std::vector<std::int64_t>{2, 0});
}

TEST_CASE("evaluation takes every sample once, in turn, and then there is nothing") {
  const Tokens text = counting(13);
  const TextSource source(text, {.sequence = 4, .batch = 2, .order = Order::in_turn});
  CHECK(source.order().steps_in_turn() == 2);
  CHECK(field(source, "ids", 0, 0, 2, 0, 1) == std::vector<std::int64_t>{0, 4});
  CHECK(field(source, "ids", 1, 0, 2, 0, 1) == std::vector<std::int64_t>{8, 0});
  CHECK(field(source, "labels", 1, 0, 2, 0, 1) == std::vector<std::int64_t>{9, -1});
  CHECK(source.counted_items(0, "labels") == 8);
  CHECK(source.counted_items(1, "labels") == 4);
  CHECK(source.counted_items(2, "labels") == 0);
}

TEST_CASE("a field that text does not have, and text that is too short, are named") {
  const Tokens text = counting(13);
  const TextSource source(text, {.sequence = 4, .batch = 2});
  CHECK(error_of([&] {
          source.field({.name = "segments", .row_end = 1, .position_end = 4});
        }) ==
        "data 'text' has no field 'segments', which the model reads\n"
        "    text has ids, labels and positions: it trains models that predict the next token; masked_text trains models "
        "that restore masked ones");
  const TextSource masked(text, {.sequence = 4, .batch = 2, .masking = Masking{.mask_id = 257, .vocab = 257}});
  CHECK(error_of([&] { masked.field({.name = "patches"}); }) ==
        "data 'masked_text' has no field 'patches', which the model reads\n"
        "    it has ids, labels, positions, segments and mask: it trains models that restore masked tokens");
  CHECK(error_of([&] { TextSource(text, {.sequence = 13, .batch = 2}); }) ==
        "a sample has 14 tokens, and there are only 13\n    more text, or a shorter sequence");
}

TEST_CASE("masked text hides a share of the tokens, most of them behind the mask, and asks for those alone") {
  const Tokens text(100'001, 7);
  const TextSource source(text, {.sequence = 100, .batch = 100, .seed = 3, .masking = Masking{.share = 0.15, .mask_id = 257, .vocab = 257}});
  const auto ids = field(source, "ids", 2, 0, 100, 0, 100), labels = field(source, "labels", 2, 0, 100, 0, 100);
  int asked = 0, masked = 0, changed = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (labels[i] < 0) CHECK(ids[i] == 7);  // what is not asked for is left alone
    asked += labels[i] == 7, masked += ids[i] == 257, changed += ids[i] != 7 && ids[i] != 257;
  }
  CHECK(asked == source.counted_items(2, "labels"));
  CHECK(asked / 10'000.0 == doctest::Approx(0.15).epsilon(0.06));
  CHECK(masked / double(asked) == doctest::Approx(0.8).epsilon(0.05));
  CHECK(changed / double(asked) == doctest::Approx(0.1).epsilon(0.3));
  CHECK(field(source, "mask", 2, 99, 101, 99, 101) == std::vector<std::int64_t>{1, 0, 0, 0});  // a row and a position too many
  CHECK(field(source, "segments", 2, 0, 1, 0, 2) == std::vector<std::int64_t>{0, 0});
}

TEST_CASE("masked text is masked anew in each epoch, and the same whoever cuts it") {
  const Tokens text = counting(250);
  const TextSource source(text, {.sequence = 8, .batch = 31, .seed = 1, .masking = Masking{.share = 0.3, .mask_id = 257, .vocab = 257}});
  CHECK(source.order().samples() == 31);
  std::set<std::vector<std::int64_t>> seen;  // what is masked of sample 5, by epoch
  for (std::int64_t step = 0; step < 5; ++step)
    for (std::int64_t row = 0; row < 31; ++row) {
      const auto ids = field(source, "ids", step, row, row + 1, 0, 8);
      CHECK(field(source, "ids", step, row, row + 1, 4, 8) == std::vector<std::int64_t>(ids.begin() + 4, ids.end()));
      if (source.sample(step, row) == 5) seen.insert(field(source, "labels", step, row, row + 1, 0, 8));
    }
  CHECK(seen.size() >= 4);
}

TEST_CASE("text that cannot be read, is empty or is of the wrong kind is an error with its place") {
  const Folder folder;
  const auto byte = open_tokenizer("byte");
  const auto reading = [&](std::string file, const Tokenizer& tokenizer) {
    DataSection section;
    section.files = {std::move(file)};
    section.mark = kMark;
    return error_of([&] { read_rows(section, &tokenizer); });
  };
  folder.write("empty.txt", "");
  CHECK(reading(folder / "empty.txt", *byte) ==
        fmt::format("run.yaml:3:9: data.files: no text in '{}'", folder / "empty.txt"));
  folder.write("latin.txt", "caf\xe9");
  const auto gpt2 = open_tokenizer("tests/tokenizers/golden/gpt2.json");
  CHECK(reading(folder / "latin.txt", *gpt2) == fmt::format("run.yaml:3:9: data.files: {}:1:4: this is not UTF-8 text: "
                                                            "byte 0xE9\n    this tokenizer takes UTF-8; the byte "
                                                            "tokenizer takes anything",
                                                            folder / "latin.txt"));
}

TEST_CASE("the last share of the text is held out") {
  const Folder folder;
  folder.write("a.txt", std::string(99, 'a'));
  DataSection section;
  section.files = {folder / "a.txt"};
  section.held_out = 0.1;
  const Text text = Text::read(section, open_tokenizer("byte").get());
  CHECK(text.files == 1);
  CHECK(text.tokens == 100);
  CHECK(text.training.at(0).tokens->size() == 90);
  CHECK(text.held_out.at(0).tokens->size() == 10);
  std::vector<std::int64_t> last(1);
  text.held_out.at(0).tokens->read(9, last);
  CHECK(last == std::vector<std::int64_t>{256});
}

TEST_CASE("indexed files are rows of tokens like text; several of a part are joined") {
  const Folder folder;
  for (const auto& [name, tokens] : {std::pair{"a", std::vector<TokenId>{1, 2, 3}}, {"b", {4, 5}}}) {
    IndexedWriter writer(folder / name, TokenType::u16);
    writer.add(tokens);
    writer.commit();
  }
  DataSection section;
  section.use = "indexed";
  section.files = {folder / "a", folder / "b.bin"};
  section.held_out = 0;
  const Text text = Text::read(section, nullptr);
  CHECK(text.tokens == 5);
  CHECK(text.end_of_document == std::nullopt);
  const TextSource source(text.training, {.sequence = 4, .batch = 1});
  CHECK(field(source, "ids", 0, 0, 1, 0, 4) == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(field(source, "labels", 0, 0, 1, 0, 4) == std::vector<std::int64_t>{2, 3, 4, 5});
}

TEST_CASE("a token that the model does not know is refused with its file and place") {
  const std::vector<TokenRow> rows = {{in_memory({1, 2, 3, 70, 5, 6, 7, 8, 9}), 1, "corpus"}};
  const TextSource source(rows, {.sequence = 4, .batch = 2, .order = Order::in_turn, .vocab = 64});
  CHECK(field(source, "ids", 0, 1, 2, 0, 4) == std::vector<std::int64_t>{5, 6, 7, 8});
  CHECK(error_of([&] { field(source, "ids", 0, 0, 1, 0, 4); }) ==
        "data: 'corpus' has token 70 at place 3, and the model's vocabulary has 64\n"
        "    the files were made with another tokenizer, or model.vocab is too small");
  CHECK(
      error_of([&] { field(source, "labels", 0, 0, 1, 2, 3); }).starts_with("data: 'corpus' has token 70 at place 3"));
}

TEST_CASE("positions go on over the borders of documents, or begin anew behind each") {
  const std::vector<TokenRow> rows = {{in_memory({5, 0, 6, 7, 0, 8, 9, 10, 11, 12, 13}), 1, "corpus"}};
  TextOptions options{.sequence = 5, .batch = 2, .order = Order::in_turn};
  CHECK(field(TextSource(rows, options), "positions", 0, 0, 2, 0, 5) ==
        std::vector<std::int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
  options.restart_behind = 0;
  const TextSource anew(rows, options);
  CHECK(field(anew, "positions", 0, 0, 2, 0, 5) == std::vector<std::int64_t>{0, 1, 0, 1, 2, 0, 1, 2, 3, 4});
  CHECK(field(anew, "positions", 0, 0, 1, 3, 6) == std::vector<std::int64_t>{1, 2, 0});  // as a rank cuts it
}

TEST_CASE("rows are blended by weight; each is gone through in epochs of its own, whatever the batch") {
  std::vector<TokenId> a(41), b(21);  // ten samples of four, and five
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<TokenId>(i);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<TokenId>(100 + i);
  const std::vector<TokenRow> rows = {{in_memory(a), 3, "a"}, {in_memory(b), 1, "b"}};
  const auto order = [&](std::int64_t batch) {
    const TextSource source(rows, {.sequence = 4, .batch = batch, .seed = 5});
    CHECK(source.order().samples() == 15);
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i < 120; ++i) result.push_back(source.sample(i / batch, i % batch));
    return result;
  };
  const std::vector<std::int64_t> one = order(1);
  CHECK(order(8) == one);
  CHECK(order(24) == one);
  std::vector<std::int64_t> of_a, of_b;
  for (const std::int64_t sample : one) (sample < 10 ? of_a : of_b).push_back(sample);
  CHECK(of_a.size() == 90);
  CHECK(of_b.size() == 30);
  for (std::size_t epoch = 0; epoch < 6; ++epoch)
    CHECK(std::set<std::int64_t>(of_b.begin() + static_cast<std::ptrdiff_t>(5 * epoch),
                                 of_b.begin() + static_cast<std::ptrdiff_t>(5 * epoch + 5)) ==
          std::set<std::int64_t>{10, 11, 12, 13, 14});
  const TextSource source(rows, {.sequence = 4, .batch = 1, .seed = 5});
  for (std::int64_t i = 0; i < 120; ++i) {
    const std::int64_t first = one[static_cast<std::size_t>(i)] < 10
                                   ? 4 * one[static_cast<std::size_t>(i)]
                                   : 100 + 4 * (one[static_cast<std::size_t>(i)] - 10);
    CHECK(field(source, "labels", i, 0, 1, 0, 4) ==
          std::vector<std::int64_t>{first + 1, first + 2, first + 3, first + 4});
  }
}

TEST_CASE("evaluation of several rows takes each sample once, mixed, and leaves out rows without one") {
  const std::vector<TokenRow> rows = {{in_memory(std::vector<TokenId>(33)), 1, "a"},
                                      {in_memory(std::vector<TokenId>(3)), 1, "b"},
                                      {in_memory(std::vector<TokenId>(17)), 1, "c"}};
  const TextSource source(rows, {.sequence = 4, .batch = 12, .order = Order::in_turn});
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < 12; ++i) order.push_back(source.sample(0, i));
  CHECK(order == std::vector<std::int64_t>{0, 8, 1, 2, 9, 3, 4, 10, 5, 6, 11, 7});
  CHECK(source.sample(1, 0) == -1);
  CHECK(error_of([&] { TextSource(rows, {.sequence = 4, .batch = 1}); }) ==
        "a sample has 5 tokens, and there are only 3 in 'b'\n    more text, or a shorter sequence");
}

TEST_CASE("words are masked as a whole, what is apart alone, and each share of tokens is still asked for") {
  // 1 begins a word, 2 goes on with it, 3 stands apart; words of three tokens, some behind what is apart
  const std::vector<WordPart> parts = {WordPart::apart, WordPart::begins, WordPart::goes_on, WordPart::apart};
  std::vector<TokenId> tokens;
  for (int i = 0; i < 2000; ++i) tokens.insert(tokens.end(), {1, 2, 2, 3, 2, 2, 1, 1, 2, 2});
  tokens.push_back(0);
  const TextSource source(std::vector<TokenRow>{{in_memory(tokens)}},
                          {.sequence = 20, .batch = 1000, .seed = 3,
                           .masking = Masking{.share = 0.15, .mask_id = 9, .vocab = 4, .word_parts = parts}});
  const auto labels = field(source, "labels", 0, 0, 1000, 0, 20);
  int asked = 0;
  for (std::size_t i = 0; i < labels.size(); i += 10) {
    const auto is_asked = [&](std::size_t p) { return labels[i + p] >= 0; };
    for (std::size_t p = 0; p < 10; ++p) asked += is_asked(p);
    CHECK(is_asked(0) == is_asked(1));
    CHECK(is_asked(0) == is_asked(2));
    CHECK(is_asked(4) == is_asked(5));  // a word behind what is apart
    CHECK(is_asked(7) == is_asked(8));
    CHECK(is_asked(7) == is_asked(9));
  }
  CHECK(asked == source.counted_items(0, "labels"));
  CHECK(asked / 20'000.0 == doctest::Approx(0.15).epsilon(0.1));
  const auto piece = field(source, "labels", 0, 7, 8, 11, 15);  // as a rank cuts it, within a word
  CHECK(piece == std::vector<std::int64_t>(labels.begin() + 151, labels.begin() + 155));
}

TEST_CASE("masked tokens may come from indexed files") {
  const Folder folder;
  IndexedWriter writer(folder / "a", TokenType::u16);
  writer.add(std::vector<TokenId>(40, 7));
  writer.commit();
  DataSection section;
  section.use = "masked_text";
  section.format = "indexed";
  section.files = {folder / "a"};
  section.held_out = 0;
  const Text text = Text::read(section, open_tokenizer("byte").get());
  const TextSource source(text.training, {.sequence = 39, .batch = 1, .masking = Masking{.share = 0.5, .mask_id = 257, .vocab = 257}});
  int masked = 0;
  for (const std::int64_t id : field(source, "ids", 0, 0, 1, 0, 39)) masked += id == 257;
  CHECK(masked > 5);
}
