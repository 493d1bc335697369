// PNG, by libpng. Its errors leave by longjmp: what it may jump over has no destructors.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "data/images/formats.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

struct Source {
  std::span<const std::byte> rest;
  char message[160] = "";
};

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (count > source.rest.size()) png_error(png, "the file ends too early");
  std::memcpy(to, source.rest.data(), count);
  source.rest = source.rest.subspan(count);
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& source = *static_cast<Source*>(png_get_error_ptr(png));
  std::strncpy(source.message, message, sizeof source.message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : source_{file} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source_, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      fail(ExitCode::failure, "libpng cannot begin");
    }
    png_set_read_fn(png_, &source_, read_bytes);
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // the number of pixels is limited instead
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ImageHeader header() {
    if (setjmp(png_jmpbuf(png_))) refuse();  // NOLINT(cert-err52-cpp): libpng's way
    png_read_info(png_, info_);
    return {png_get_image_width(png_, info_), png_get_image_height(png_, info_)};
  }

  // To 8 bits a channel without transparency; the bytes of a row.
  std::size_t set_up() {
    if (setjmp(png_jmpbuf(png_))) refuse();  // NOLINT(cert-err52-cpp)
    png_set_scale_16(png_);
    png_set_expand(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return png_get_rowbytes(png_, info_);
  }

  std::int64_t channels() const { return png_get_channels(png_, info_); }

  void read(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png_))) refuse();  // NOLINT(cert-err52-cpp)
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
  }

 private:
  [[noreturn]] void refuse() const { fail("a damaged PNG: {}", static_cast<const char*>(source_.message)); }

  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

ImageHeader read_png_header(std::span<const std::byte> file) { return Reader(file).header(); }

Image decode_png(std::span<const std::byte> file) {
  Reader reader(file);
  const ImageHeader header = reader.header();
  const std::size_t row_bytes = reader.set_up();
  Image image{.width = header.width, .height = header.height, .channels = reader.channels()};
  if ((image.channels != 1 && image.channels != 3) || row_bytes != static_cast<std::size_t>(image.width * image.channels))
    fail(ExitCode::unsupported, "a PNG of {} channels and {} bytes a row", image.channels, row_bytes);
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < image.height; ++y) rows.push_back(image.row(y));
  reader.read(rows.data());
  return image;
}

}  // namespace trellis::data
