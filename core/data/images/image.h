// Pixels of one image, and the two formats that they come in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis::data {

struct Image {
  std::int64_t width = 0, height = 0, channels = 0;  // 1: gray; 3: red, green, blue
  std::vector<std::uint8_t> pixels;                  // row by row, of a pixel all channels

  const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * width * channels; }
  std::uint8_t* row(std::int64_t y) { return pixels.data() + y * width * channels; }
  bool operator==(const Image&) const = default;
};

struct ImageHeader {
  std::int64_t width = 0, height = 0;
};

// What a file says of itself, without its pixels; of PNG or JPEG, as its first bytes say.
// Error (bad_input or unsupported, without the file's name) for other files, damaged ones, JPEG of print colors (CMYK),
// and more than 2^27 pixels.
TRELLIS_API ImageHeader read_image_header(std::span<const std::byte> file);

// Gray or color, as the file has it: palettes are looked up, 16 bits a channel become 8, transparency is left out, marks of
// orientation (EXIF) are not obeyed. Error as above, and where pixels are missing or damaged.
TRELLIS_API Image decode_image(std::span<const std::byte> file);

// By the weights of ITU-R 601-2; equal channels from gray. `channels` is 1 or 3.
TRELLIS_API Image with_channels(Image image, std::int64_t channels);

}  // namespace trellis::data
