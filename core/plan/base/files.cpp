#include "trellis/plan/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "plan/base/folders.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

[[noreturn]] void fail_io(std::string_view doing, const std::filesystem::path& path, int error) {
  fail(ExitCode::io, "cannot {} '{}': {}", doing, path.string(), std::generic_category().message(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  // Closing may report a delayed write error (network file systems).
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

// The temporary file goes when it was not renamed.
class Temporary {
 public:
  explicit Temporary(std::string name) : name_(std::move(name)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  void keep() { name_.clear(); }

 private:
  std::string name_;
};

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

mode_t creation_mask() {
  const mode_t mask = ::umask(0);  // there is no call that only reads it
  ::umask(mask);
  return mask;
}

// mkstemp creates private files; the target keeps its mode, or gets what open() would have given it.
mode_t target_mode(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status.st_mode & 07777;
  static const mode_t mask = creation_mask();
  return 0666 & ~mask;
}

std::string temporary_name(const std::filesystem::path& folder, const std::filesystem::path& path) {
  return (folder / ("." + path.filename().string() + ".XXXXXX")).string();
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

[[noreturn]] void fail_folder(const std::filesystem::path& folder, const std::error_code& error) {
  fail(ExitCode::io, "cannot make folder '{}': {}", folder.string(), error.message());
}

bool is_missing(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::status(folder, error).type() == std::filesystem::file_type::not_found;
}

// In which make_parent would begin: the nearest that there is.
std::filesystem::path existing_folder(std::filesystem::path folder) {
  while (is_missing(folder)) folder = folder_of(folder);
  return folder;
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) fail_io("read", path, errno);
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_io("read", path, errno);
    if (count == 0) return content;
    content.append(buffer, static_cast<std::size_t>(count));
  }
}

void try_writing(const std::filesystem::path& path) {
  if (path.empty()) return;
  if (std::filesystem::is_directory(path)) fail_io("write", path, EISDIR);
  const std::filesystem::path folder = folder_of(path), existing = existing_folder(folder);
  std::string name = temporary_name(existing, path);
  const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file.is_open() && existing != folder) fail_folder(folder, {errno, std::generic_category()});
  if (!file.is_open()) fail_io("write", path, errno);
  ::unlink(name.c_str());
}

void make_parent(const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::create_directories(folder_of(file), error);
  if (error) fail_folder(folder_of(file), error);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path folder = folder_of(path);
  if (is_missing(folder)) make_parent(path);
  std::string name = temporary_name(folder, path);
  Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file.is_open()) fail_io("write", path, errno);
  Temporary temporary(name);

  const bool is_written = write_all(file.get(), content) && ::fchmod(file.get(), target_mode(path)) == 0 &&
                          ::fsync(file.get()) == 0 && file.close() && ::rename(name.c_str(), path.c_str()) == 0;
  if (!is_written) fail_io("write", path, errno);
  temporary.keep();

  // The new name survives a power cut only when the folder is flushed, too. Some file systems cannot; the file is
  // complete in any case, so that is not an error.
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.is_open()) static_cast<void>(::fsync(parent.get()));
}

}  // namespace trellis
