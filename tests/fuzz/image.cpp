// A PNG or JPEG file. Images of more than a million pixels only have their header read: what takes memory finds nothing new.
#include "data/images/image.h"
#include "fuzz/target.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::expect_error_or_nothing([&] {
    const auto file = std::as_bytes(std::span(data, size));
    const data::ImageHeader header = data::read_image_header(file);
    if (header.width > (1 << 20) / header.height) return;
    const data::Image image = data::with_channels(data::decode_image(file), 1);
    if (image.width != header.width || image.pixels.size() != static_cast<std::size_t>(header.width * header.height)) std::abort();
  });
  return 0;
}
