// From a decoded image to the numbers that a vision transformer reads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/images/image.h"
#include "trellis/plan/image_section.h"

namespace trellis::data {

// In this order: resize, crop to the model's side (the middle, or a random window), flip, (pixel x rescale - mean) / std.
struct ImageSteps {
  std::int64_t side = 0, channels = 0, patch = 0;  // of the model's images
  ImageResize resize = ImageResize::exact;
  std::int64_t size = 0;  // that resize makes; at least `side`
  ImageFilter resample = ImageFilter::bilinear;
  double rescale = 1.0 / 255;
  std::vector<double> mean, std;  // by channel
  std::optional<ImageCrop> random_crop;
  bool flip = false;

  std::int64_t positions() const { return 1 + (side / patch) * (side / patch); }
  std::int64_t features() const { return channels * patch * patch; }
};

// What of an image is the same each time that it comes, so that it may be kept.
TRELLIS_API Image fixed_part(Image decoded, const ImageSteps&, bool training);

// The rest, to [side x side]: `draws`, the k-th of a few numbers in [0, 1), decides what is random; none: the middle.
using Draws = std::function<double(int)>;
TRELLIS_API Image finished(const Image& fixed, const ImageSteps&, const Draws& draws);

// Where a random part of an image lies, in pixels. Of ten parts that are drawn the first that fits (Szegedy et al. 2015);
// where none does, the largest in the middle.
struct ImagePart {
  std::int64_t left, top, width, height;
};
TRELLIS_API ImagePart random_part(std::int64_t width, std::int64_t height, const ImageCrop&, const Draws& draws);

// The numbers of pixels 0 to 255, by channel: [channels x 256].
TRELLIS_API std::vector<float> normalization(const ImageSteps&);

// Positions [begin, end) of the model's sequence, [positions, features]: at 0, the class token's, zeros, then patch by
// patch; in a patch channel by channel, and row by row in one. Behind the last patch zeros.
TRELLIS_API void write_patches(const Image& finished, const ImageSteps&, std::span<const float> normalization,
                               std::int64_t begin, std::int64_t end, float* out);

}  // namespace trellis::data
