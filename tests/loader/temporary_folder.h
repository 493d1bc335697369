// A folder of its own for each test, gone at its end, with helpers to lay out plugins in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "support/paths.h"
#include "trellis/plan/error.h"

namespace trellis::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "trellis_loader_XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = std::filesystem::canonical(pattern);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    return file;
  }

  // The library of tests/loader/fakes/<fake>.cpp as `name`.
  std::filesystem::path copy_fake(const std::string& fake, const std::string& name) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::copy_file(build_dir() / "tests/loader/fakes" / (fake + ".so"), file);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    std::filesystem::permissions(file.parent_path(), std::filesystem::perms(0755));
    return file;
  }

  // A whole plugin in `folder`: the fake as fake.so and its manifest, to which `more` lines are added.
  std::filesystem::path plugin(const std::string& folder, const std::string& fake, const std::string& type = "search",
                               const std::string& name = {}, const std::string& more = {}) const {
    copy_fake(fake, folder + "/fake.so");
    return write(folder + "/plugin.yaml", "apiVersion: trellis/v1\nkind: Plugin\ntype: " + type +
                                              "\nname: " + (name.empty() ? fake : name) +
                                              "\nversion: 1.0.0\nlibrary: fake.so\n" + more);
  }

 private:
  std::filesystem::path path_;
};

// The Error that a call throws, which must be one.
template <class Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  throw std::logic_error("expected an Error, found none");
}

}  // namespace trellis::testing
