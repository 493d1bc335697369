#include "data/indexed/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

[[noreturn]] void fail_read(const std::filesystem::path& path, int error) {
  fail(ExitCode::io, "cannot read '{}': {}", path.string(), std::generic_category().message(error));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_read(path, errno);
  struct stat status {};
  int error = ::fstat(fd, &status) != 0 ? errno
              : S_ISREG(status.st_mode) ? 0
              : S_ISDIR(status.st_mode) ? EISDIR
                                        : EINVAL;
  void* base = nullptr;
  if (error == 0 && status.st_size > 0) {
    base = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) error = errno;
  }
  ::close(fd);
  if (error != 0) fail_read(path, error);
  if (base) bytes_ = {static_cast<const std::byte*>(base), static_cast<std::size_t>(status.st_size)};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace trellis::data
