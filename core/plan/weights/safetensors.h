// Files in the safetensors format: eight bytes with the length of a header, the header (JSON: a name, dtype, shape and
// range of bytes for each tensor), the tensors' bytes. Little-endian, row-major.
//
// Both are strict: every byte of the data belongs to exactly one tensor, and a tensor has the bytes that its shape and
// dtype need. Starts of tensors need not be aligned, as in the format; who reads elements copies their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"

namespace trellis {

// The bytes of an element by the format's name of its dtype ("F32"); 0 where there is no such dtype.
TRELLIS_API std::size_t element_size(std::string_view dtype);

struct TensorView {
  std::string name;
  std::string dtype;  // "F32"
  Shape shape;
  std::span<const std::byte> bytes;
};

// A file mapped into memory, checked as a whole when it is opened. Views live as long as it does. Thread-safe.
class TRELLIS_API SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<TensorView>& tensors() const { return tensors_; }  // in the order of their bytes
  const TensorView* find(std::string_view name) const;                 // null where there is none
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Mapping;
  std::filesystem::path path_;
  std::shared_ptr<const Mapping> mapping_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct TensorDeclaration {
  std::string name;
  std::string dtype;
  Shape shape;
};

// Writes a file whose tensors are known before their bytes are: filled in place, in any order, then committed. The same
// tensors make the same file, byte for byte that of the format's reference implementation. What was not committed
// leaves nothing behind.
class TRELLIS_API SafetensorsWriter {
 public:
  // Takes the space on disk at once: Error (io) where there is too little.
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorDeclaration> tensors);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  std::span<std::byte> bytes(std::string_view tensor);  // zeros until they are written
  void commit();                                        // flushed to the device, then renamed to `path`

 private:
  std::filesystem::path path_;
  std::string temporary_;  // empty: nothing to remove
  int fd_ = -1;
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::map<std::string, std::span<std::byte>, std::less<>> places_;
};

}  // namespace trellis
