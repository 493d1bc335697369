#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <system_error>

#include "plan/weights/json.h"
#include "plan/weights/safetensors.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

[[noreturn]] void fail_write(const std::filesystem::path& path, int error) {
  fail(ExitCode::io, "cannot write '{}': {}", path.string(), std::generic_category().message(error));
}

// The reference implementation's order of dtypes: wider elements come first, so that all starts are aligned.
int rank_of(std::string_view dtype) {
  constexpr std::string_view kOrder[] = {"U64", "I64", "F64",     "F32",     "U32",     "I32", "BF16", "F16", "U16",
                                         "I16", "C64", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8",  "U8",   "BOOL"};
  return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), dtype) - std::begin(kOrder));
}

std::size_t bytes_of(const TensorDeclaration& tensor) {
  return static_cast<std::size_t>(elements(tensor.shape)) * element_size(tensor.dtype);
}

void check(const std::vector<TensorDeclaration>& tensors) {
  std::set<std::string_view> names;
  for (const TensorDeclaration& tensor : tensors) {
    if (element_size(tensor.dtype) == 0)
      fail(ExitCode::failure, "tensor '{}' has the dtype '{}'", tensor.name, tensor.dtype);
    if (!names.insert(tensor.name).second) fail(ExitCode::failure, "tensor '{}' is to be written twice", tensor.name);
  }
}

// Length, JSON, and spaces up to a multiple of eight bytes.
std::string header_of(const std::vector<TensorDeclaration>& tensors) {
  Json json;
  json["__metadata__"] = {{"format", "pt"}};  // the public library asks for it
  std::size_t next = 0;
  for (const TensorDeclaration& tensor : tensors) {
    const std::size_t end = next + bytes_of(tensor);
    Json shape = Json::array();
    for (const std::int64_t size : tensor.shape) shape.push_back(size);
    json[tensor.name] = {{"dtype", tensor.dtype}, {"shape", shape}, {"data_offsets", {next, end}}};
    next = end;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string result(sizeof length, '\0');
  std::memcpy(result.data(), &length, sizeof length);
  return result + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<TensorDeclaration> tensors)
    : path_(std::move(path)) {
  check(tensors);
  std::sort(tensors.begin(), tensors.end(), [](const TensorDeclaration& a, const TensorDeclaration& b) {
    return std::pair(rank_of(a.dtype), std::string_view(a.name)) <
           std::pair(rank_of(b.dtype), std::string_view(b.name));
  });
  const std::string header = header_of(tensors);
  size_ = header.size();
  for (const TensorDeclaration& tensor : tensors) size_ += bytes_of(tensor);

  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  temporary_ = (folder / ("." + path_.filename().string() + ".XXXXXX")).string();
  fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  if (fd_ < 0) {
    temporary_.clear();
    fail_write(path_, errno);
  }
  // A mapped file without its space on disk would end the process when it is written to.
  int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size_));
  if (error == 0) {
    void* base = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (base == MAP_FAILED) error = errno;
    else base_ = static_cast<std::byte*>(base);
  }
  if (error != 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
    fail_write(path_, error);
  }
  std::memcpy(base_, header.data(), header.size());
  std::byte* next = base_ + header.size();
  for (const TensorDeclaration& tensor : tensors) {
    places_[tensor.name] = {next, bytes_of(tensor)};
    next += bytes_of(tensor);
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (base_) ::munmap(base_, size_);
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::span<std::byte> SafetensorsWriter::bytes(std::string_view tensor) {
  const auto found = places_.find(tensor);
  if (found == places_.end()) fail(ExitCode::failure, "'{}' has no tensor '{}'", path_.string(), tensor);
  return found->second;
}

void SafetensorsWriter::commit() {
  const mode_t mask = ::umask(0);  // there is no call that only reads it
  ::umask(mask);
  const bool is_written = ::msync(base_, size_, MS_SYNC) == 0 && ::fchmod(fd_, 0666 & ~mask) == 0 &&
                          ::fsync(fd_) == 0 && ::rename(temporary_.c_str(), path_.c_str()) == 0;
  if (!is_written) fail_write(path_, errno);
  temporary_.clear();
}

}  // namespace trellis
