// A file mapped into memory, to be read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "trellis/plan/export.h"

namespace trellis::data {

// Error (io) with the system's reason. Whoever cuts a mapped file short while it is read ends the process.
class TRELLIS_API MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace trellis::data
