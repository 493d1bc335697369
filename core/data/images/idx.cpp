// The IDX format: magic (two zeros, type, number of dimensions), sizes, numbers; all big-endian.
#include <fmt/format.h>

#include <algorithm>

#include "data/images/formats.h"
#include "data/images/image_set.h"
#include "data/indexed/mapped_file.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kUnsignedBytes = 0x08;

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t index) {
  std::uint32_t value = 0;
  for (std::size_t i = 4 * index; i < 4 * index + 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

std::string_view type_name(std::uint32_t type) {
  switch (type) {
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return "";
  }
}

void check_magic(std::uint32_t magic, std::uint32_t dimensions, const std::string& name) {
  const std::uint32_t type = magic >> 8 & 0xff, found = magic & 0xff;
  if (magic >> 16 == 0x1f8b)
    throw Error(ExitCode::unsupported, fmt::format("'{}' is compressed (gzip)", name), fmt::format("gunzip {}", name));
  if (magic >> 16 != 0 || (type != kUnsignedBytes && type_name(type).empty()))
    fail("'{}' is no IDX file: it begins with {:#010x}, and not with {:#010x}", name, magic,
         kUnsignedBytes << 8 | dimensions);
  if (type != kUnsignedBytes)
    fail(ExitCode::unsupported, "'{}' has {}, and only unsigned bytes are read", name, type_name(type));
  if (found == dimensions) return;
  const std::string hint = found == 1   ? "these are labels: are the two files swapped?"
                           : found == 3 ? "these are images: are the two files swapped?"
                                        : "";
  throw Error(ExitCode::bad_input,
              fmt::format("'{}' has {} dimensions, and {} have {}", name, found,
                          dimensions == 3 ? "gray images" : "labels", dimensions),
              hint);
}

class IdxFile {
 public:
  IdxFile(const fs::path& path, std::uint32_t dimensions) : file_(path) {
    const std::string name = path.string();
    const auto bytes = file_.bytes();
    if (bytes.size() >= 4) check_magic(word_at(bytes, 0), dimensions, name);
    header_ = 4 * (1 + std::size_t{dimensions});
    if (bytes.size() < header_) fail("'{}' ends in its header: {} bytes, of {}", name, bytes.size(), header_);
    unsigned __int128 expected = 1;
    for (std::size_t d = 0; d < dimensions; ++d) {
      sizes_.push_back(word_at(bytes, 1 + d));
      expected *= word_at(bytes, 1 + d);
    }
    if (expected != bytes.size() - header_)
      fail("'{}' says {}, and has {} bytes of numbers", name, fmt::join(sizes_, " x "), bytes.size() - header_);
    if (expected == 0) fail("'{}' is empty: {}", name, fmt::join(sizes_, " x "));
  }

  std::int64_t size(std::size_t dimension) const { return sizes_[dimension]; }
  std::span<const std::byte> numbers() const { return file_.bytes().subspan(header_); }

 private:
  MappedFile file_;
  std::size_t header_ = 0;
  std::vector<std::int64_t> sizes_;
};

class IdxSet final : public ImageSet {
 public:
  IdxSet(const fs::path& images, const fs::path& labels)
      : name_(images.string()), images_(images, 3), labels_(labels, 1) {
    if (images_.size(0) != labels_.size(0))
      fail("'{}' has {} images, and '{}' {} labels", name_, images_.size(0), labels.string(), labels_.size(0));
    if (images_.size(2) > kMostPixels / images_.size(1))
      fail("'{}' has images of {} x {} pixels", name_, images_.size(2), images_.size(1));
    const std::byte most = *std::ranges::max_element(labels_.numbers());
    for (int label = 0; label <= std::to_integer<int>(most); ++label) classes_.push_back(std::to_string(label));
  }

  std::int64_t size() const override { return images_.size(0); }
  std::int64_t files() const override { return 2; }
  std::int64_t label(std::int64_t image) const override {
    return std::to_integer<std::int64_t>(labels_.numbers()[static_cast<std::size_t>(image)]);
  }
  std::string name(std::int64_t image) const override { return fmt::format("image {} of {}", image, name_); }
  ImageHeader header(std::int64_t) const override { return {images_.size(2), images_.size(1)}; }
  Image decode(std::int64_t image) const override {
    Image result{.width = images_.size(2), .height = images_.size(1), .channels = 1};
    const auto pixels = static_cast<std::size_t>(result.width * result.height);
    const auto from = images_.numbers().subspan(static_cast<std::size_t>(image) * pixels, pixels);
    result.pixels.resize(pixels);
    std::ranges::transform(from, result.pixels.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    return result;
  }

 private:
  std::string name_;
  IdxFile images_, labels_;
};

}  // namespace

ImageSetPointer open_idx(const fs::path& images, const fs::path& labels) {
  return std::make_shared<IdxSet>(images, labels);
}

}  // namespace trellis::data
