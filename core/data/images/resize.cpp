#include "data/images/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace trellis::data {
namespace {

constexpr int kFractionBits = 22;  // of weights: 8 bits and a sum of weights below 2 leave room in 32

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys 1981, with a = -1/2.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// What each output is a sum of.
struct Taps {
  std::vector<std::int64_t> first;          // input, by output
  std::vector<std::vector<int>> weights;    // in parts of 2^kFractionBits, by output
};

Taps taps_of(std::int64_t inputs, std::int64_t outputs, ImageFilter filter) {
  const double scale = static_cast<double>(inputs) / static_cast<double>(outputs), width = std::max(scale, 1.0);
  const double support = (filter == ImageFilter::bilinear ? 1.0 : 2.0) * width;
  Taps taps;
  for (std::int64_t out = 0; out < outputs; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const auto end = std::min(inputs, static_cast<std::int64_t>(center + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t in = begin; in < end; ++in) {
      const double distance = (static_cast<double>(in) - center + 0.5) * (1 / width);
      weights.push_back(filter == ImageFilter::bilinear ? triangle(distance) : cubic(distance));
      sum += weights.back();
    }
    taps.first.push_back(begin);
    std::vector<int>& fixed = taps.weights.emplace_back();
    for (const double weight : weights)
      fixed.push_back(static_cast<int>(std::lround(weight / sum * (1 << kFractionBits))));
  }
  return taps;
}

std::uint8_t rounded(int sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

Image along_rows(const Image& image, std::int64_t width, ImageFilter filter) {
  const Taps taps = taps_of(image.width, width, filter);
  Image result{.width = width, .height = image.height, .channels = image.channels};
  result.pixels.resize(static_cast<std::size_t>(width * image.height * image.channels));
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      const std::vector<int>& weights = taps.weights[static_cast<std::size_t>(x)];
      const std::uint8_t* const from = image.row(y) + taps.first[static_cast<std::size_t>(x)] * image.channels;
      for (std::int64_t c = 0; c < image.channels; ++c) {
        int sum = 1 << (kFractionBits - 1);
        for (std::size_t k = 0; k < weights.size(); ++k) sum += from[static_cast<std::int64_t>(k) * image.channels + c] * weights[k];
        result.row(y)[x * image.channels + c] = rounded(sum);
      }
    }
  return result;
}

Image along_columns(const Image& image, std::int64_t height, ImageFilter filter) {
  const Taps taps = taps_of(image.height, height, filter);
  const std::int64_t row = image.width * image.channels;
  Image result{.width = image.width, .height = height, .channels = image.channels};
  result.pixels.resize(static_cast<std::size_t>(row * height));
  std::vector<int> sums(static_cast<std::size_t>(row));
  for (std::int64_t y = 0; y < height; ++y) {
    const std::vector<int>& weights = taps.weights[static_cast<std::size_t>(y)];
    std::ranges::fill(sums, 1 << (kFractionBits - 1));
    for (std::size_t k = 0; k < weights.size(); ++k) {
      const std::uint8_t* const from = image.row(taps.first[static_cast<std::size_t>(y)] + static_cast<std::int64_t>(k));
      for (std::int64_t i = 0; i < row; ++i) sums[static_cast<std::size_t>(i)] += from[i] * weights[k];
    }
    std::ranges::transform(sums, result.row(y), rounded);
  }
  return result;
}

}  // namespace

Image resize_image(const Image& image, std::int64_t width, std::int64_t height, ImageFilter filter) {
  Image result = width == image.width ? image : along_rows(image, width, filter);
  return height == image.height ? result : along_columns(result, height, filter);
}

Image window_of(const Image& image, std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height) {
  if (left == 0 && top == 0 && width == image.width && height == image.height) return image;
  Image result{.width = width, .height = height, .channels = image.channels};
  result.pixels.resize(static_cast<std::size_t>(width * height * image.channels));
  const std::int64_t begin = std::max<std::int64_t>(0, -left), end = std::min(width, image.width - left);
  for (std::int64_t y = std::max<std::int64_t>(0, -top); y < std::min(height, image.height - top) && begin < end; ++y)
    std::memcpy(result.row(y) + begin * image.channels, image.row(top + y) + (left + begin) * image.channels,
                static_cast<std::size_t>((end - begin) * image.channels));
  return result;
}

}  // namespace trellis::data
