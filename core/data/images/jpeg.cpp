// JPEG, by libjpeg-turbo. Its errors leave by longjmp: what it may jump over has no destructors.
#include <cstdio>  // jpeglib.h needs it before

#include <jpeglib.h>

#include <jerror.h>

#include <csetjmp>

#include "data/images/formats.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

struct ErrorExit {
  jpeg_error_mgr manager;
  std::jmp_buf target;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr jpeg) {
  auto& exit = *reinterpret_cast<ErrorExit*>(jpeg->err);
  exit.manager.format_message(jpeg, exit.message);
  std::longjmp(exit.target, 1);
}

// Pixels that are not there are made up behind a warning. Others (stray bytes between segments) cost nothing.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
      code == JWRN_MUST_RESYNC)
    leave(jpeg);
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file) {
    jpeg_.err = jpeg_std_error(&exit_.manager);
    exit_.manager.error_exit = leave;
    exit_.manager.emit_message = on_message;
  }
  ~Reader() {
    if (made_) jpeg_destroy_decompress(&jpeg_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ImageHeader header() {
    if (setjmp(exit_.target)) refuse();  // NOLINT(cert-err52-cpp): libjpeg's way
    jpeg_create_decompress(&jpeg_);
    made_ = true;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_read_header(&jpeg_, TRUE);
    return {jpeg_.image_width, jpeg_.image_height};
  }

  bool is_for_print() const { return jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK; }
  bool is_gray() const { return jpeg_.jpeg_color_space == JCS_GRAYSCALE; }
  int components() const { return jpeg_.num_components; }

  void read(Image& image) {
    if (setjmp(exit_.target)) refuse();  // NOLINT(cert-err52-cpp)
    jpeg_.out_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = image.row(jpeg_.output_scanline);
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
  }

 private:
  [[noreturn]] void refuse() const { fail("a damaged JPEG: {}", static_cast<const char*>(exit_.message)); }

  std::span<const std::byte> file_;
  jpeg_decompress_struct jpeg_{};
  ErrorExit exit_{};
  bool made_ = false;
};

}  // namespace

ImageHeader read_jpeg_header(std::span<const std::byte> file) {
  Reader reader(file);
  const ImageHeader header = reader.header();
  if (reader.is_for_print())
    throw Error(ExitCode::unsupported, "a JPEG of print colors (CMYK)", "what they look like a color profile says: convert it to RGB");
  if (!reader.is_gray() && reader.components() != 3)
    fail(ExitCode::unsupported, "a JPEG of {} channels", reader.components());
  return header;
}

Image decode_jpeg(std::span<const std::byte> file) {
  Reader reader(file);
  const ImageHeader header = reader.header();
  Image image{.width = header.width, .height = header.height, .channels = reader.is_gray() ? 1 : 3};
  image.pixels.resize(static_cast<std::size_t>(image.width * image.height * image.channels));
  reader.read(image);
  return image;
}

}  // namespace trellis::data
