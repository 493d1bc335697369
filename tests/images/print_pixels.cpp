// For agreement.py. Of each line "WIDTH HEIGHT FILTER CHANNELS FILE" on stdin: the CRC-32 of the image's pixels, resized; filter 2 is
// bilinear, 3 bicubic.
#include <boost/crc.hpp>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "data/images/resize.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

int main() {
  using namespace trellis;
  using namespace trellis::data;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::int64_t width = 0, height = 0, channels = 0;
    int filter = 0;
    std::string name;
    words >> width >> height >> filter >> channels >> std::ws;
    std::getline(words, name);
    try {
      const std::string file = read_file(name);
      const Image image = resize_image(with_channels(decode_image(std::as_bytes(std::span(file))), channels), width, height,
                                       filter == 2 ? ImageFilter::bilinear : ImageFilter::bicubic);
      boost::crc_32_type crc;
      crc.process_bytes(image.pixels.data(), image.pixels.size());
      std::printf("%08x\n", crc.checksum());
    } catch (const Error& error) {
      std::printf("%s\n", error.message().c_str());
    }
  }
}
