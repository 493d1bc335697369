#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "plan/base/folders.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

using namespace trellis;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trellis_files_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::size_t num_files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  fs::path path;
};

std::string write_error(const fs::path& path, std::string_view content) {
  try {
    write_file_atomically(path, content);
    return "no error";
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::io);
    return error.what();
  }
}

}  // namespace

TEST_CASE("a file is written whole, over an old one, too") {
  const Folder folder;
  const fs::path file = folder.path / "plan.yaml";
  const std::string binary("a\0b\n", 4);
  write_file_atomically(file, "old, and longer");
  write_file_atomically(file, binary);
  CHECK(read_file(file) == binary);
  CHECK(folder.num_files() == 1);
  write_file_atomically(file, "");
  CHECK(read_file(file) == "");
}

TEST_CASE("a written file has the usual mode, or keeps the one it had") {
  const Folder folder;
  const fs::path file = folder.path / "plan.yaml";
  write_file_atomically(file, "x");
  CHECK((static_cast<int>(fs::status(file).permissions()) & 0600) == 0600);
  fs::permissions(file, fs::perms{0640});
  write_file_atomically(file, "y");
  CHECK(fs::status(file).permissions() == fs::perms{0640});
}

TEST_CASE("writing that fails says why and leaves nothing") {
  const Folder folder;
  const fs::path taken = folder.path / "taken";
  fs::create_directory(taken);
  CHECK(write_error(taken, "x") == "cannot write '" + taken.string() + "': Is a directory");
  CHECK(folder.num_files() == 1);
  const fs::path file = taken / "file";
  write_file_atomically(file, "x");
  CHECK(write_error(file / "plan.yaml", "x") == "cannot write '" + (file / "plan.yaml").string() + "': Not a directory");
  CHECK(write_error(file / "a/plan.yaml", "x") == "cannot make folder '" + (file / "a").string() + "': Not a directory");
  CHECK_THROWS_WITH_AS(read_file(taken), ("cannot read '" + taken.string() + "': Is a directory").c_str(), Error);
}

TEST_CASE("the folder of a file is made where it is missing, and those above it") {
  const Folder folder;
  const fs::path file = folder.path / "a/b/plan.yaml";
  try_writing(file);
  CHECK(folder.num_files() == 0);
  write_file_atomically(file, "x");
  CHECK(read_file(file) == "x");
  make_parent(folder.path / "c/d/file");
  CHECK(fs::is_directory(folder.path / "c/d"));
  make_parent("file");
}

TEST_CASE("whether a file can be written is tried without writing it") {
  const Folder folder;
  const auto error = [](const fs::path& path) -> std::string {
    try {
      try_writing(path);
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  };
  CHECK(error({}) == "no error");
  CHECK(error(folder.path / "plan.yaml") == "no error");
  CHECK(error("plan.yaml") == "no error");
  CHECK(error(folder.path) == "cannot write '" + folder.path.string() + "': Is a directory");
  CHECK(folder.num_files() == 0);
  const fs::path file = folder.path / "file";
  write_file_atomically(file, "x");
  CHECK(error(file / "plan.yaml") == "cannot write '" + (file / "plan.yaml").string() + "': Not a directory");
  CHECK(error(file / "a/b/plan.yaml") == "cannot make folder '" + (file / "a/b").string() + "': Not a directory");
  CHECK(folder.num_files() == 1);
}

TEST_CASE("a disk that is full in the middle leaves the old file") {
  const Folder folder;
  const fs::path file = folder.path / "plan.yaml";
  write_file_atomically(file, "old");
  // A limit on the size of files fails in the middle of writing, as a full disk does.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string error = write_error(file, std::string(100'000, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, old_handler);
  CHECK(error == "cannot write '" + file.string() + "': File too large");
  CHECK(read_file(file) == "old");
  CHECK(folder.num_files() == 1);
}
