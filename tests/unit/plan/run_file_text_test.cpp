#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "plan/run/text_files.h"
#include "support/error_of.h"
#include "trellis/plan/files.h"

using namespace trellis;
using namespace trellis::data;

namespace {

namespace fs = std::filesystem;

const Mark kMark = {"run.yaml", 3, 9};

using trellis::test::error_of;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trellis-text-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  void write(const std::string& name, std::string_view text) const {
    fs::create_directories((path_ / name).parent_path());
    write_file_atomically(path_ / name, text);
  }
  std::vector<std::string> find(std::vector<std::string> entries) const {
    for (std::string& entry : entries) entry = *this / entry;
    std::vector<std::string> names;
    for (const fs::path& file : find_files(entries, kMark)) names.push_back(file.lexically_relative(path_).string());
    return names;
  }

 private:
  fs::path path_;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("files, folders and patterns name text, in a fixed order and each file once") {
  const Folder folder;
  for (const char* name :
       {"b.md", "a.md", "docs/x.md", "docs/deep/y.md", "docs/deep/y.cpp", ".hidden/z.md", "docs/.z.md"})
    folder.write(name, name);
  CHECK(folder.find({"b.md", "a.md"}) == Names{"b.md", "a.md"});
  CHECK(folder.find({"docs"}) == Names{"docs/deep/y.cpp", "docs/deep/y.md", "docs/x.md"});
  CHECK(folder.find({"*.md"}) == Names{"a.md", "b.md"});
  CHECK(folder.find({"**/*.md"}) == Names{"a.md", "b.md", "docs/deep/y.md", "docs/x.md"});
  CHECK(folder.find({"docs/**/y.*"}) == Names{"docs/deep/y.cpp", "docs/deep/y.md"});
  CHECK(folder.find({"docs/deep", "docs/../docs"}) == Names{"docs/deep/y.cpp", "docs/deep/y.md", "docs/../docs/x.md"});
}

TEST_CASE("text that is not there is an error with its place") {
  const Folder folder;
  fs::create_directory(folder / "nothing");
  const auto error = [&](const std::string& entry) { return error_of([&] { find_files({folder / entry}, kMark); }); };
  CHECK(error("missing.txt") ==
        fmt::format("run.yaml:3:9: data.files: there is no file or folder '{}'\n    a path in a "
                    "run file is relative to that file",
                    folder / "missing.txt"));
  CHECK(error("*.rst") ==
        fmt::format("run.yaml:3:9: data.files: '{}' names no file\n    hidden files do not count", folder / "*.rst"));
  CHECK(error("nothing") ==
        fmt::format("run.yaml:3:9: data.files: '{}' names no file\n    hidden files do not count", folder / "nothing"));
  CHECK(error("nowhere/*.md") == fmt::format("run.yaml:3:9: data.files: '{}' is no folder, so '{}' names nothing",
                                             folder / "nowhere", folder / "nowhere/*.md"));
  CHECK(error_of([] { find_files({}, kMark); }).starts_with("run.yaml:3:9: data.files: no text is named"));
}
