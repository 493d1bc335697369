#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "run/data/image_source.h"
#include "run/data/split.h"
#include "support/error_of.h"
#include "trellis/plan/error.h"

using namespace trellis;
using namespace trellis::data;

namespace {

// Image i of 4 x 4 pixels has the values 16 i to 16 i + 15, and the label i % 3; image 5 can be made unreadable.
class MadeUp final : public ImageSet {
 public:
  explicit MadeUp(std::int64_t size, bool damaged = false) : size_(size), damaged_(damaged) { classes_ = {"a", "b", "c"}; }
  std::int64_t size() const override { return size_; }
  std::int64_t files() const override { return 1; }
  std::int64_t label(std::int64_t image) const override { return image % 3; }
  std::string name(std::int64_t image) const override { return "image " + std::to_string(image); }
  ImageHeader header(std::int64_t) const override { return {4, 4}; }
  Image decode(std::int64_t image) const override {
    if (damaged_ && image == 5) fail("a damaged PNG");
    ++decoded;
    Image result{.width = 4, .height = 4, .channels = 1};
    for (int i = 0; i < 16; ++i) result.pixels.push_back(static_cast<std::uint8_t>(16 * image + i));
    return result;
  }
  mutable std::atomic<int> decoded = 0;

 private:
  std::int64_t size_;
  bool damaged_;
};

ImageSteps plain() { return {.side = 4, .channels = 1, .patch = 2, .size = 4, .rescale = 1, .mean = {0}, .std = {1}}; }

std::vector<std::int64_t> all(std::int64_t size) {
  std::vector<std::int64_t> images;
  for (std::int64_t i = 0; i < size; ++i) images.push_back(i);
  return images;
}

std::vector<float> patches(const DataSource& source, std::int64_t step, std::int64_t row_begin, std::int64_t row_end, std::int64_t begin = 0,
                           std::int64_t end = 5) {
  const at::Tensor t = source.field({.name = "patches", .step = step, .row_begin = row_begin, .row_end = row_end, .position_begin = begin, .position_end = end, .sequence = 5, .features = 4});
  return {t.data_ptr<float>(), t.data_ptr<float>() + t.numel()};
}

std::vector<std::int64_t> integers(const DataSource& source, std::string name, std::int64_t step, std::int64_t row_begin,
                                   std::int64_t row_end, std::int64_t begin, std::int64_t end) {
  const at::Tensor t = source.field({.name = std::move(name), .step = step, .row_begin = row_begin, .row_end = row_end, .position_begin = begin, .position_end = end});
  return {t.data_ptr<std::int64_t>(), t.data_ptr<std::int64_t>() + t.numel()};
}

using trellis::test::error_of;

}  // namespace

TEST_CASE("a sample is the patches of an image behind zeros, positions that count and its label") {
  const ImageSource source(std::make_shared<MadeUp>(4), all(4), plain(), {.batch = 2, .order = Order::in_turn});
  CHECK(patches(source, 0, 1, 2) == std::vector<float>{0,  0,  0,  0,  16, 17, 20, 21, 18, 19,
                                                        22, 23, 24, 25, 28, 29, 26, 27, 30, 31});
  CHECK(patches(source, 1, 1, 2, 2, 4) == std::vector<float>{50, 51, 54, 55, 56, 57, 60, 61});
  CHECK(integers(source, "positions", 0, 0, 1, 0, 6) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 0});
  CHECK(integers(source, "labels", 0, 0, 2, 0, 1) == std::vector<std::int64_t>{0, 1});
  CHECK(integers(source, "labels", 1, 0, 2, 0, 1) == std::vector<std::int64_t>{2, 0});
}

TEST_CASE("rows beyond the batch or behind the last held-out image are surplus") {
  const ImageSource source(std::make_shared<MadeUp>(3), all(3), plain(), {.batch = 2, .order = Order::in_turn});
  CHECK(source.order().steps_in_turn() == 2);
  CHECK(source.counted_items(0, "labels") == 2);
  CHECK(source.counted_items(1, "labels") == 1);
  CHECK(source.counted_items(2, "labels") == 0);
  CHECK(integers(source, "labels", 0, 1, 4, 0, 1) == std::vector<std::int64_t>{1, -1, -1});
  CHECK(integers(source, "labels", 1, 0, 2, 0, 1) == std::vector<std::int64_t>{2, -1});
  CHECK(integers(source, "positions", 1, 1, 2, 0, 3) == std::vector<std::int64_t>{0, 0, 0});
  CHECK(patches(source, 1, 1, 2) == std::vector<float>(20, 0));
}

TEST_CASE("an epoch has every image once in an order of its own, also where batches run over its end") {
  const ImageSource source(std::make_shared<MadeUp>(10), all(10), plain(), {.batch = 3, .seed = 4});
  std::vector<std::vector<std::int64_t>> epochs(3);
  for (std::int64_t cursor = 0; cursor < 30; ++cursor)
    epochs[static_cast<std::size_t>(cursor / 10)].push_back(source.image(cursor / 3, cursor % 3));
  for (const auto& epoch : epochs) CHECK(std::set<std::int64_t>(epoch.begin(), epoch.end()).size() == 10);
  CHECK(epochs[0] != epochs[1]);
  const ImageSource of_two(std::make_shared<MadeUp>(10), all(10), plain(), {.batch = 2, .seed = 4});
  for (std::int64_t cursor = 0; cursor < 30; ++cursor)
    CHECK(of_two.image(cursor / 2, cursor % 2) == source.image(cursor / 3, cursor % 3));
}

TEST_CASE("what is random about a sample follows from its number in the run, whoever asks for which piece") {
  ImageSteps steps = plain();
  steps.random_crop = ImageCrop{.padding = 2};
  steps.flip = true;
  const auto set = std::make_shared<MadeUp>(1);
  const ImageSource source(set, all(1), steps, {.batch = 4, .seed = 1}), other(set, all(1), steps, {.batch = 1, .seed = 1, .kept_bytes = 0});
  std::set<std::vector<float>> seen;
  for (std::int64_t cursor = 0; cursor < 40; ++cursor) {
    const std::vector<float> whole = patches(source, cursor / 4, cursor % 4, cursor % 4 + 1);
    CHECK(patches(other, cursor, 0, 1) == whole);
    const std::vector<float> tail = patches(source, cursor / 4, cursor % 4, cursor % 4 + 1, 3, 5);
    CHECK(std::vector<float>(whole.begin() + 12, whole.end()) == tail);
    seen.insert(whole);
  }
  CHECK(seen.size() > 20);  // of 50
  const ImageSource held_out(set, all(1), steps, {.batch = 1, .seed = 1, .order = Order::in_turn});
  CHECK(patches(held_out, 0, 0, 1, 1, 2) == std::vector<float>{0, 1, 4, 5});
}

TEST_CASE("decoded images are kept until the bound is reached") {
  const auto set = std::make_shared<MadeUp>(4);
  const ImageSource source(set, all(4), plain(), {.batch = 4, .order = Order::in_turn, .kept_bytes = 33});
  patches(source, 0, 0, 4);
  CHECK(set->decoded == 4);
  patches(source, 0, 0, 4);
  CHECK(set->decoded == 6);  // two of 16 bytes fit
}

TEST_CASE("several threads get the same samples as one") {
  const ImageSource source(std::make_shared<MadeUp>(16), all(16), plain(), {.batch = 16, .seed = 2});
  const std::vector<float> expected = patches(source, 0, 0, 16);
  const ImageSource shared(std::make_shared<MadeUp>(16), all(16), plain(), {.batch = 16, .seed = 2});
  std::vector<std::vector<float>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : found) threads.emplace_back([&shared, &mine] { mine = patches(shared, 0, 0, 16); });
  }
  for (const auto& mine : found) CHECK(mine == expected);
}

TEST_CASE("the seed draws what is held out, and nothing is in both") {
  const Split split = Split::draw(100, 0.15, 3);
  CHECK(split.held_out.size() == 15);
  std::set<std::int64_t> seen(split.training.begin(), split.training.end());
  CHECK(seen.size() == 85);
  seen.insert(split.held_out.begin(), split.held_out.end());
  CHECK(seen.size() == 100);
  CHECK(Split::draw(100, 0.15, 3).held_out == split.held_out);
  CHECK(Split::draw(100, 0.15, 4).held_out != split.held_out);
  CHECK(Split::draw(100, 0.15, 3, 1).held_out != split.held_out);  // another part of the data
  CHECK_FALSE(std::is_sorted(split.held_out.begin(), split.held_out.end()));
  CHECK(Split::draw(6, 0.1, 1).held_out.empty());
}

TEST_CASE("label entropy is that of the frequencies, in nats") {
  const MadeUp set(9);
  CHECK(label_entropy(set, {0, 1, 2}) == doctest::Approx(std::log(3)));
  CHECK(label_entropy(set, {0, 3, 6}) == 0);
  CHECK(label_entropy(set, {0, 1, 3, 6}) == doctest::Approx(0.5623351446188083));
}

TEST_CASE("what images do not have is refused, and one that does not decode is named") {
  const ImageSource source(std::make_shared<MadeUp>(8, true), all(8), plain(), {.batch = 8, .order = Order::in_turn});
  CHECK(error_of([&] { source.field({.name = "ids"}); }) ==
        "images have no field 'ids', which the model reads\n"
        "    they have patches, positions and labels: they train models that classify images");
  CHECK(error_of([&] { patches(source, 0, 5, 6); }) == "data: 'image 5': a damaged PNG");
  CHECK(error_of([&] { patches(source, 0, 0, 8); }) == "data: 'image 5': a damaged PNG");
  CHECK(error_of([&] { ImageSource(std::make_shared<MadeUp>(8), {}, plain(), {.batch = 1}); }) ==
        "there is not one image\n    more images, or another share of held-out ones");
}
