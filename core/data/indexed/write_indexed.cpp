#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <system_error>

#include "data/indexed/indexed.h"
#include "plan/base/folders.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBuffer = 1 << 20;  // bytes

[[noreturn]] void fail_write(const fs::path& path, int error) {
  fail(ExitCode::io, "cannot write '{}': {}", path.string(), std::generic_category().message(error));
}

template <class Number>
void put(std::string& to, Number value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

// A file beside its name until it is renamed to it.
class IndexedWriter::Output {
 public:
  explicit Output(fs::path path) : path_(std::move(path)) {
    make_parent(path_);
    const fs::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    temporary_ = (folder / ("." + path_.filename().string() + ".XXXXXX")).string();
    fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
    if (fd_ < 0) {
      temporary_.clear();
      fail_write(path_, errno);
    }
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail_write(path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void flush() {
    const mode_t mask = ::umask(0);  // there is no call that only reads it
    ::umask(mask);
    if (::fchmod(fd_, 0666 & ~mask) != 0 || ::fsync(fd_) != 0) fail_write(path_, errno);
  }
  void rename() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_write(path_, errno);
    temporary_.clear();
  }

 private:
  fs::path path_;
  std::string temporary_;
  int fd_ = -1;
};

IndexedWriter::IndexedWriter(const fs::path& prefix, TokenType type)
    : prefix_(prefix), type_(type), bin_(std::make_unique<Output>(with_suffix(prefix, ".bin"))) {}

IndexedWriter::~IndexedWriter() = default;

void IndexedWriter::add(std::span<const TokenId> document) {
  if (document.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    fail("document {} has {} tokens; the format has room for 2^31 - 1", lengths_.size(), document.size());
  for (const TokenId token : document) {
    switch (size_of(type_)) {
      case 1: put(buffer_, static_cast<std::uint8_t>(token)); break;
      case 2: put(buffer_, static_cast<std::uint16_t>(token)); break;
      case 4: put(buffer_, token); break;
      default: put(buffer_, std::int64_t{token}); break;
    }
  }
  lengths_.push_back(static_cast<std::int32_t>(document.size()));
  tokens_ += static_cast<std::int64_t>(document.size());
  if (buffer_.size() >= kBuffer) flush();
}

void IndexedWriter::flush() {
  bin_->write(buffer_);
  buffer_.clear();
}

void IndexedWriter::commit() {
  flush();
  Output idx(with_suffix(prefix_, ".idx"));
  std::string text("MMIDIDX\0\0", 9);
  put(text, std::uint64_t{1});
  put(text, static_cast<std::uint8_t>(type_));
  put(text, std::uint64_t{lengths_.size()});
  put(text, std::uint64_t{lengths_.size()} + 1);
  for (const std::int32_t length : lengths_) put(text, length);
  std::int64_t place = 0;
  for (const std::int32_t length : lengths_) {
    put(text, place);
    place += length * static_cast<std::int64_t>(size_of(type_));
  }
  for (std::int64_t i = 0; i <= documents(); ++i) put(text, i);
  idx.write(text);
  idx.flush();
  bin_->flush();
  // An old pair is taken apart first: a reader, or a power cut, finds one pair, or none. Never one of each.
  if (::unlink(with_suffix(prefix_, ".idx").c_str()) != 0 && errno != ENOENT) fail_write(prefix_, errno);
  bin_->rename();
  idx.rename();
}

}  // namespace trellis::data
