#include <doctest/doctest.h>

#include "images/support.h"

using namespace trellis;
using namespace trellis::data;
using namespace trellis::test;

TEST_CASE("PNG of every kind becomes 8 bits of gray or color, as Pillow decodes it") {
  const Image gray = decoded("gray.png");
  CHECK(gray.width == 9);
  CHECK(gray.height == 6);
  CHECK(gray.channels == 1);
  CHECK(row(gray, 0) == std::vector{245, 236, 220, 198, 176, 154, 138, 128, 127});
  CHECK(row(gray, 5) == std::vector{139, 130, 114, 93, 70, 49, 32, 23, 22});

  const Image color = decoded("color.png");
  CHECK(color.channels == 3);
  CHECK(std::vector<int>(color.row(0), color.row(0) + 9) == std::vector{154, 244, 225, 185, 210, 181, 217, 160, 141});
  CHECK(std::vector<int>(color.row(5) + 18, color.row(5) + 27) == std::vector{152, 121, 113, 119, 139, 128, 90, 115, 108});
  CHECK(decoded("interlaced.png") == color);
  CHECK(decoded("alpha.png") == color);  // what is left out is how much of it is seen

  const Image palette = decoded("palette.png");
  CHECK(palette.channels == 3);
  CHECK(std::vector<int>(palette.row(0), palette.row(0) + 9) == std::vector{224, 224, 224, 224, 224, 224, 192, 192, 192});
  CHECK(row(decoded("one_bit.png"), 0) == std::vector{255, 255, 255, 255, 255, 255, 255, 255, 0});
}

TEST_CASE("of 16 bits a channel the nearest 8 are taken") {
  CHECK(row(decoded("gray16.png"), 0) == std::vector{0, 0, 255, 198, 176, 154, 138, 128, 127});  // 0, 128, 65407, 50886, ...
}

TEST_CASE("JPEG decodes to the pixels that Pillow has, progressive or not") {
  const Image color = decoded("color.jpg");
  CHECK(color.width == 32);
  CHECK(color.height == 24);
  CHECK(std::vector<int>(color.row(0), color.row(0) + 9) == std::vector{155, 246, 229, 158, 245, 226, 162, 239, 219});
  CHECK(std::vector<int>(color.row(23) + 87, color.row(23) + 96) == std::vector{91, 117, 106, 86, 112, 103, 84, 110, 101});
  CHECK(decoded("progressive.jpg") == color);
  const Image gray = decoded("gray.jpg");
  CHECK(gray.channels == 1);
  CHECK(std::vector<int>(gray.row(0), gray.row(0) + 8) == std::vector{249, 248, 247, 245, 242, 238, 234, 230});
}

TEST_CASE("color becomes gray by its brightness, gray becomes color of equal channels") {
  CHECK(row(with_channels(decoded("color.png"), 1), 0) == std::vector{215, 199, 175, 161, 171, 198, 222, 225, 200});
  const Image color = with_channels(decoded("gray.png"), 3);
  CHECK(color.channels == 3);
  CHECK(std::vector<int>(color.row(0), color.row(0) + 6) == std::vector{245, 245, 245, 236, 236, 236});
}

TEST_CASE("an image that cannot be decoded is refused with the reason") {
  const auto error = [](const char* name) { return error_of([&] { decoded(name); }); };
  CHECK(error("cut.png") == "a damaged PNG: the file ends too early");
  CHECK(error("damaged.png").starts_with("a damaged PNG: IDAT: "));
  CHECK(error("cut.jpg") == "a damaged JPEG: Premature end of JPEG file");
  CHECK(error("print.jpg") ==
        "a JPEG of print colors (CMYK)\n    what they look like a color profile says: convert it to RGB");
  CHECK(error("huge.png") == "1048576 x 1048576 pixels are more than 134217728");
  const auto of_bytes = [](std::string_view file) {
    return error_of([&] { decode_image(std::as_bytes(std::span(file))); });
  };
  CHECK(of_bytes("") == "an empty file");
  CHECK(of_bytes("GIF89a") == "neither PNG nor JPEG");
  CHECK(of_bytes("\x89PNG\r\n\x1a\n") == "a damaged PNG: the file ends too early");
  CHECK(of_bytes("\xff\xd8\xff").starts_with("a damaged JPEG: "));
}

TEST_CASE("wherever a file is cut, it is refused or whole") {
  for (const char* name : {"color.png", "color.jpg", "progressive.jpg", "interlaced.png"}) {
    const std::string file = read_file(formats(name));
    const Image whole = decoded(name);
    for (std::size_t size = 0; size < file.size(); ++size) {
      try {
        const Image image = decode_image(std::as_bytes(std::span(file).first(size)));
        CHECK(image == whole);  // libjpeg makes up a missing end mark, and no pixel
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::bad_input);
      }
    }
  }
}
