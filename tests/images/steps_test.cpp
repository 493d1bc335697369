#include <doctest/doctest.h>

#include <set>

#include "data/images/resize.h"
#include "data/images/steps.h"
#include "images/support.h"

using namespace trellis;
using namespace trellis::data;
using namespace trellis::test;

namespace {

Image counting(std::int64_t width, std::int64_t height) {
  Image image{.width = width, .height = height, .channels = 1};
  for (std::int64_t i = 0; i < width * height; ++i) image.pixels.push_back(static_cast<std::uint8_t>(i));
  return image;
}

ImageSteps gray_steps(std::int64_t side, std::int64_t patch) {
  return {.side = side, .channels = 1, .patch = patch, .size = side, .mean = {0}, .std = {1}};
}

// The k-th draw of each.
Draws draws(std::vector<double> numbers) {
  return [numbers = std::move(numbers)](int k) { return numbers.at(static_cast<std::size_t>(k)); };
}

std::vector<double> twenty(double area, double ratio, double left, double top, double flip) {
  std::vector<double> numbers;
  for (int i = 0; i < 10; ++i) numbers.insert(numbers.end(), {area, ratio});
  numbers.insert(numbers.end(), {left, top, flip});
  return numbers;
}

}  // namespace

TEST_CASE("images are resized to the pixels that Pillow makes") {
  const Image gray = decoded("gray.png"), color = decoded("color.png");
  CHECK(pixels(resize_image(gray, 5, 4, ImageFilter::bilinear)) ==
        std::vector{233, 210, 170, 135, 122, 190, 167, 127, 92, 79, 137, 113, 73, 39, 26, 128, 105, 65, 30, 17});
  CHECK(pixels(resize_image(gray, 12, 3, ImageFilter::bilinear)) ==
        std::vector{229, 223, 214, 201, 186, 169, 152, 136, 124, 116, 112, 111, 169, 163, 153, 140, 125, 108,
                    91,  76,  63,  55,  52,  51,  134, 128, 119, 106, 91,  74,  57,  41,  29,  21,  17,  16});
  CHECK(pixels(resize_image(color, 3, 2, ImageFilter::bilinear)) ==
        std::vector{186, 180, 153, 228, 141, 139, 177, 211, 209, 157, 121, 85, 199, 82, 71, 148, 152, 141});
  CHECK(pixels(resize_image(gray, 5, 4, ImageFilter::bicubic)) ==
        std::vector{238, 213, 172, 136, 123, 196, 170, 130, 94, 81, 134, 109, 68, 33, 20, 130, 105, 64, 29, 16});
  CHECK(pixels(resize_image(gray, 12, 3, ImageFilter::bicubic)) ==
        std::vector{235, 230, 221, 208, 192, 175, 157, 142, 130, 121, 117, 117, 167, 162, 152, 139, 123, 106,
                    89,  74,  61,  52,  49,  49,  130, 125, 116, 103, 87,  70,  53,  38,  25,  16,  13,  13});
  CHECK(pixels(resize_image(color, 3, 2, ImageFilter::bicubic)) ==
        std::vector{185, 182, 156, 234, 140, 139, 176, 217, 216, 153, 118, 82, 202, 76, 65, 144, 153, 142});
  CHECK(resize_image(gray, 9, 6, ImageFilter::bicubic) == gray);
}

TEST_CASE("a window that reaches over the image has zeros there") {
  const Image image = counting(3, 2);  // 0 1 2 / 3 4 5
  CHECK(pixels(window_of(image, 1, 0, 2, 2)) == std::vector{1, 2, 4, 5});
  CHECK(pixels(window_of(image, -1, 1, 3, 2)) == std::vector{0, 3, 4, 0, 0, 0});
  CHECK(pixels(window_of(image, 5, 0, 2, 1)) == std::vector{0, 0});
}

TEST_CASE("the shorter side gets the size, and the middle is taken") {
  ImageSteps steps = gray_steps(2, 1);
  steps.resize = ImageResize::shorter;
  const Image fixed = fixed_part(counting(7, 2), steps, false);
  CHECK(fixed.width == 7);
  CHECK(pixels(finished(fixed, steps, nullptr)) == std::vector{2, 3, 9, 10});
  steps.size = 4;
  CHECK(fixed_part(counting(7, 2), steps, false).width == 14);
  CHECK(fixed_part(counting(7, 2), steps, false).height == 4);
  steps.resize = ImageResize::exact;
  CHECK(fixed_part(counting(7, 2), steps, false).width == 4);
}

TEST_CASE("a padded window is shifted by the draws, and images are flipped left to right by one of them") {
  ImageSteps steps = gray_steps(3, 1);
  const Image image = counting(3, 3);  // 0 1 2 / 3 4 5 / 6 7 8
  CHECK(finished(image, steps, draws(twenty(0, 0, 0, 0, 0))) == image);
  steps.random_crop = ImageCrop{.padding = 1};
  CHECK(pixels(finished(image, steps, draws(twenty(0, 0, 0, 0, 0)))) == std::vector{0, 0, 0, 0, 0, 1, 0, 3, 4});
  CHECK(pixels(finished(image, steps, draws(twenty(0, 0, 0.99, 0.5, 0)))) == std::vector{1, 2, 0, 4, 5, 0, 7, 8, 0});
  steps.flip = true;
  CHECK(pixels(finished(image, steps, draws(twenty(0, 0, 0.5, 0.5, 0.49)))) == std::vector{2, 1, 0, 5, 4, 3, 8, 7, 6});
  CHECK(finished(image, steps, draws(twenty(0, 0, 0.5, 0.5, 0.5))) == image);
  CHECK(finished(image, steps, nullptr) == image);
}

TEST_CASE("a random part has the area and the ratio that were drawn") {
  const ImageCrop crop{.least_area = 0.25, .most_area = 1, .least_ratio = 0.5, .most_ratio = 2};
  const ImagePart quarter = random_part(40, 40, crop, draws(twenty(0, 0.5, 0.999, 0, 0)));
  CHECK(quarter.width == 20);
  CHECK(quarter.height == 20);
  CHECK(quarter.left == 20);
  CHECK(quarter.top == 0);
  const ImagePart flat = random_part(40, 40, crop, draws(twenty(0, 1, 0, 0.5, 0)));
  CHECK(flat.width == 28);
  CHECK(flat.height == 14);
  CHECK(flat.top == 13);
  // never fits: the largest in the middle
  const ImagePart middle = random_part(100, 10, {.least_area = 1, .most_area = 1, .least_ratio = 0.75, .most_ratio = 4.0 / 3},
                                       draws(twenty(0, 0.5, 0, 0, 0)));
  CHECK(middle.width == 13);
  CHECK(middle.height == 10);
  CHECK(middle.left == 43);
}

TEST_CASE("patches are channel by channel, row by row, behind zeros for the class token") {
  ImageSteps steps{.side = 4, .channels = 3, .patch = 2, .size = 4, .rescale = 1, .mean = {0, 0, 0}, .std = {1, 1, 1}};
  Image image{.width = 4, .height = 4, .channels = 3};
  for (int pixel = 0; pixel < 16; ++pixel)
    for (int channel = 0; channel < 3; ++channel) image.pixels.push_back(static_cast<std::uint8_t>(100 * channel / 2 + pixel));
  CHECK(steps.positions() == 5);
  CHECK(steps.features() == 12);
  std::vector<float> out(7 * 12, -1);
  write_patches(image, steps, normalization(steps), 0, 7, out.data());
  const auto at = [&](int position) { return std::vector<float>(out.begin() + 12 * position, out.begin() + 12 * position + 12); };
  CHECK(at(0) == std::vector<float>(12, 0));
  CHECK(at(1) == std::vector<float>{0, 1, 4, 5, 50, 51, 54, 55, 100, 101, 104, 105});
  CHECK(at(2) == std::vector<float>{2, 3, 6, 7, 52, 53, 56, 57, 102, 103, 106, 107});
  CHECK(at(4) == std::vector<float>{10, 11, 14, 15, 60, 61, 64, 65, 110, 111, 114, 115});
  CHECK(at(6) == std::vector<float>(12, 0));  // behind the last patch
  std::vector<float> part(2 * 12);
  write_patches(image, steps, normalization(steps), 2, 4, part.data());
  CHECK(std::vector<float>(part.begin(), part.begin() + 12) == at(2));
}

TEST_CASE("pixels are rescaled and normalized by channel") {
  const ImageSteps steps{.side = 1, .channels = 3, .patch = 1, .mean = {0.5, 0, 0.25}, .std = {0.5, 1, 2}};
  const std::vector<float> table = normalization(steps);
  CHECK(table.at(0) == -1);
  CHECK(table.at(255) == 1);
  CHECK(table.at(256) == 0);
  CHECK(table.at(256 + 51) == doctest::Approx(0.2));
  CHECK(table.at(512 + 255) == doctest::Approx(0.375));
}
