#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "data/images/image_set.h"
#include "data/indexed/mapped_file.h"
#include "plan/weights/folder.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool is_called_image(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::count(std::array{".png", ".jpg", ".jpeg"}, extension) > 0;
}

[[noreturn]] void fail_read(const fs::path& folder, const std::error_code& error) {
  fail(ExitCode::io, "cannot read folder '{}': {}", folder.string(), error.message());
}

// All files below, by name. Links to folders are not followed: they may lead back.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      files.push_back(it->path());
    }
  }
  if (error) fail_read(folder, error);
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> class_folders(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error(ExitCode::io, fmt::format("there is no folder '{}'", folder.string()),
                "a path in a run file is relative to that file");
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (is_hidden(it->path())) continue;
    if (it->is_directory()) names.push_back(it->path().filename().string());
    else if (is_called_image(it->path()))
      throw Error(ExitCode::bad_input, fmt::format("'{}' is in no class folder", it->path().string()),
                  "FOLDER/CLASS/IMAGE.png: the class is the folder's name");
  }
  if (error) fail_read(folder, error);
  if (names.empty())
    throw Error(ExitCode::bad_input, fmt::format("'{}' has no class folder", folder.string()),
                "FOLDER/CLASS/IMAGE.png: the class is the folder's name");
  std::ranges::sort(names);
  return names;
}

class ClassFolders final : public ImageSet {
 public:
  ClassFolders(const fs::path& folder, const std::vector<std::string>& classes) {
    const std::vector<std::string> found = class_folders(folder);
    classes_ = classes.empty() ? found : classes;
    for (const std::string& name : found) {
      const auto at = std::ranges::find(classes_, name);
      if (at == classes_.end())
        fail("'{}' has a class '{}', which is none of those that are trained on: {}", folder.string(), name,
             some_of(classes_));
      const std::vector<fs::path> files = files_below(folder / name);
      if (files.empty()) fail("class folder '{}' has no image", (folder / name).string());
      for (const fs::path& file : files) entries_.push_back({file, at - classes_.begin()});
    }
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  std::int64_t label(std::int64_t image) const override { return entry(image).label; }
  std::string name(std::int64_t image) const override { return entry(image).file.string(); }
  std::int64_t files() const override { return size(); }
  // Mapped: of large files only the beginning is read from disk.
  ImageHeader header(std::int64_t image) const override {
    return read_image_header(MappedFile(entry(image).file).bytes());
  }
  Image decode(std::int64_t image) const override { return decode_image(bytes_of(read_file(entry(image).file))); }

 private:
  struct Entry {
    fs::path file;
    std::int64_t label;
  };
  const Entry& entry(std::int64_t image) const { return entries_.at(static_cast<std::size_t>(image)); }

  std::vector<Entry> entries_;
};

}  // namespace

ImageSet::~ImageSet() = default;

ImageSetPointer open_class_folders(const fs::path& folder, const std::vector<std::string>& classes) {
  return std::make_shared<ClassFolders>(folder, classes);
}

}  // namespace trellis::data
