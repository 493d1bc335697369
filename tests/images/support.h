// Files and images for the tests of core/data/images.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/images/image.h"
#include "support/error_of.h"
#include "support/paths.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::test {

inline std::filesystem::path formats(const std::string& name) { return testing::source_dir() / "tests/images/formats" / name; }

inline data::Image decoded(const std::string& name) {
  const std::string file = read_file(formats(name));
  return data::decode_image(std::as_bytes(std::span(file)));
}

inline std::vector<int> row(const data::Image& image, std::int64_t y) {
  return {image.row(y), image.row(y) + image.width * image.channels};
}

inline std::vector<int> pixels(const data::Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

// An IDX file: magic, sizes, numbers.
inline std::string idx(std::uint32_t magic, const std::vector<std::uint32_t>& sizes, const std::vector<int>& numbers) {
  std::string file;
  const auto add = [&](std::uint32_t word) {
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(word >> shift & 0xff);
  };
  add(magic);
  for (const std::uint32_t size : sizes) add(size);
  for (const int number : numbers) file += static_cast<char>(number);
  return file;
}

inline std::string put(const std::filesystem::path& file, const std::string& content) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
  return file.string();
}

inline std::string place(const std::string& format, const std::filesystem::path& to) {
  return put(to, read_file(formats(format)));
}

}  // namespace trellis::test
