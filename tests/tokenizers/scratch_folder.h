// A folder of a test's own, and what an act throws.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::testing {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "trellis-data-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::filesystem::path write(const std::string& name, std::string_view text) const {
    write_file_atomically(path_ / name, text);
    return path_ / name;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

// "CODE NAME:line:column message", with the file's name only.
template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    Mark mark = error.mark();
    mark.file = std::filesystem::path(mark.file).filename().string();
    return fmt::format("{} {} {}", static_cast<int>(error.code()), format(mark), error.message());
  }
  return "no error";
}

}  // namespace trellis::testing
