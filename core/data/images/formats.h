// The formats, one a file. Errors as of image.h.
#pragma once

#include "data/images/image.h"

namespace trellis::data {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

ImageHeader read_png_header(std::span<const std::byte> file);
Image decode_png(std::span<const std::byte> file);
ImageHeader read_jpeg_header(std::span<const std::byte> file);
Image decode_jpeg(std::span<const std::byte> file);

}  // namespace trellis::data
