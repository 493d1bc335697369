#include "data/images/image.h"

#include <array>
#include <cstring>

#include "data/images/formats.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

enum class Format { png, jpeg };

template <std::size_t N>
bool begins_with(std::span<const std::byte> file, const std::array<unsigned char, N>& mark) {
  return file.size() >= N && std::memcmp(file.data(), mark.data(), N) == 0;
}

Format format_of(std::span<const std::byte> file) {
  if (file.empty()) fail("an empty file");
  if (begins_with(file, std::array<unsigned char, 8>{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'})) return Format::png;
  if (begins_with(file, std::array<unsigned char, 3>{0xff, 0xd8, 0xff})) return Format::jpeg;
  fail("neither PNG nor JPEG");
}

ImageHeader checked(ImageHeader header) {
  if (header.width > kMostPixels / header.height)
    fail(ExitCode::unsupported, "{} x {} pixels are more than {}", header.width, header.height, kMostPixels);
  return header;
}

}  // namespace

ImageHeader read_image_header(std::span<const std::byte> file) {
  return checked(format_of(file) == Format::png ? read_png_header(file) : read_jpeg_header(file));
}

Image decode_image(std::span<const std::byte> file) {
  read_image_header(file);
  return format_of(file) == Format::png ? decode_png(file) : decode_jpeg(file);
}

Image with_channels(Image image, std::int64_t channels) {
  if (image.channels == channels) return image;
  Image result{.width = image.width, .height = image.height, .channels = channels};
  const std::size_t pixels = static_cast<std::size_t>(image.width * image.height);
  result.pixels.resize(pixels * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < pixels; ++i) {
    if (channels == 3) {
      std::memset(&result.pixels[3 * i], image.pixels[i], 3);
      continue;
    }
    const std::uint8_t* const rgb = &image.pixels[3 * i];  // 0.299, 0.587, 0.114, in parts of 2^16
    result.pixels[i] = static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + (1 << 15)) >> 16);
  }
  return result;
}

}  // namespace trellis::data
