#include "data/images/steps.h"

#include <algorithm>
#include <cmath>

#include "data/images/resize.h"

namespace trellis::data {
namespace {

constexpr int kTries = 10, kDrawsOfATry = 2;
// Which number decides what: parts first, where they lie, then the flip.
constexpr int kLeft = kTries * kDrawsOfATry, kTop = kLeft + 1, kFlip = kTop + 1;

bool draws_a_part(const ImageSteps& steps) { return steps.random_crop && !steps.random_crop->padding; }

// 0 to count - 1.
std::int64_t choice(double draw, std::int64_t count) {
  return std::min(static_cast<std::int64_t>(draw * static_cast<double>(count)), count - 1);
}

double between(double least, double most, double draw) { return least + (most - least) * draw; }

Image resized(const Image& image, const ImageSteps& steps) {
  std::int64_t width = steps.size, height = steps.size;
  if (steps.resize == ImageResize::off) return image;
  if (steps.resize == ImageResize::shorter) {
    const std::int64_t shorter = std::min(image.width, image.height);
    width = steps.size * image.width / shorter, height = steps.size * image.height / shorter;
  }
  return resize_image(image, width, height, steps.resample);
}

void flip_columns(Image& image) {
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t left = 0, right = image.width - 1; left < right; ++left, --right)
      std::swap_ranges(image.row(y) + left * image.channels, image.row(y) + (left + 1) * image.channels,
                       image.row(y) + right * image.channels);
}

}  // namespace

Image fixed_part(Image decoded, const ImageSteps& steps, bool training) {
  Image image = with_channels(std::move(decoded), steps.channels);
  return training && draws_a_part(steps) ? image : resized(image, steps);
}

ImagePart random_part(std::int64_t width, std::int64_t height, const ImageCrop& crop, const Draws& draws) {
  const double area = static_cast<double>(width) * static_cast<double>(height);
  const auto at = [&](std::int64_t w, std::int64_t h) {
    return ImagePart{choice(draws(kLeft), width - w + 1), choice(draws(kTop), height - h + 1), w, h};
  };
  for (int i = 0; i < kTries; ++i) {
    const double wanted = area * between(crop.least_area, crop.most_area, draws(kDrawsOfATry * i));
    const double ratio =
        std::exp(between(std::log(crop.least_ratio), std::log(crop.most_ratio), draws(kDrawsOfATry * i + 1)));
    const std::int64_t w = std::lround(std::sqrt(wanted * ratio)), h = std::lround(std::sqrt(wanted / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) return at(w, h);
  }
  const double ratio = std::clamp(static_cast<double>(width) / static_cast<double>(height), crop.least_ratio, crop.most_ratio);
  const std::int64_t w = std::clamp<std::int64_t>(std::lround(static_cast<double>(height) * ratio), 1, width);
  const std::int64_t h = std::clamp<std::int64_t>(std::lround(static_cast<double>(width) / ratio), 1, height);
  return {(width - w) / 2, (height - h) / 2, w, h};
}

Image finished(const Image& fixed, const ImageSteps& steps, const Draws& draws) {
  const std::int64_t side = steps.side;
  if (!draws) return window_of(fixed, (fixed.width - side) / 2, (fixed.height - side) / 2, side, side);
  Image image;
  if (draws_a_part(steps)) {
    const ImagePart part = random_part(fixed.width, fixed.height, *steps.random_crop, draws);
    image = resize_image(window_of(fixed, part.left, part.top, part.width, part.height), side, side, steps.resample);
  } else if (steps.random_crop) {
    const std::int64_t padding = *steps.random_crop->padding;
    const std::int64_t left = choice(draws(kLeft), fixed.width + 2 * padding - side + 1) - padding;
    const std::int64_t top = choice(draws(kTop), fixed.height + 2 * padding - side + 1) - padding;
    image = window_of(fixed, left, top, side, side);
  } else {
    image = finished(fixed, steps, nullptr);
  }
  if (steps.flip && draws(kFlip) < 0.5) flip_columns(image);
  return image;
}

std::vector<float> normalization(const ImageSteps& steps) {
  std::vector<float> table;
  for (std::int64_t c = 0; c < steps.channels; ++c)
    for (int pixel = 0; pixel < 256; ++pixel) {
      const auto channel = static_cast<std::size_t>(c);
      table.push_back(static_cast<float>((pixel * steps.rescale - steps.mean[channel]) / steps.std[channel]));
    }
  return table;
}

void write_patches(const Image& image, const ImageSteps& steps, std::span<const float> normalization,
                   std::int64_t begin, std::int64_t end, float* out) {
  const std::int64_t patch = steps.patch, across = steps.side / patch;
  for (std::int64_t position = begin; position < end; ++position) {
    if (position == 0 || position >= steps.positions()) {
      out = std::fill_n(out, steps.features(), 0.0F);
      continue;
    }
    const std::int64_t top = (position - 1) / across * patch, left = (position - 1) % across * patch;
    for (std::int64_t c = 0; c < steps.channels; ++c)
      for (std::int64_t y = top; y < top + patch; ++y)
        for (std::int64_t x = left; x < left + patch; ++x)
          *out++ = normalization[static_cast<std::size_t>(c * 256 + image.row(y)[x * steps.channels + c])];
  }
}

}  // namespace trellis::data
