#include "plan/plugin/library.h"

#define BOOST_DLL_USE_STD_FS  // std::filesystem instead of Boost's

#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "plan/plugin/elf.h"
#include "plan/plugin/sha256.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::plugin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSection = "trellis_abi";

[[noreturn]] void refuse(const fs::path& path, const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::plugin, message, std::move(hint), {path.string(), 0, 0});
}

// Many systems give each user a group of his own and let it write by default; that is nobody else.
bool is_own_group(uid_t user, gid_t group) {
  std::vector<char> text(1 << 16);
  passwd account{}, *found_account = nullptr;
  if (getpwuid_r(user, &account, text.data(), text.size(), &found_account) != 0 || !found_account) return false;
  if (account.pw_gid != group) return false;
  const std::string name = account.pw_name;
  ::group entry{}, *found = nullptr;
  if (getgrgid_r(group, &entry, text.data(), text.size(), &found) != 0 || !found) return false;
  for (char** member = entry.gr_mem; *member; ++member)
    if (name != *member) return false;
  return name == entry.gr_name;
}

struct stat status_of(const fs::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    const int reason = errno;
    refuse(path, reason == ENOENT ? "there is no such library" : std::strerror(reason),
           reason == ENOENT ? "was the plugin built? its plugin.yaml names this file" : "");
  }
  return status;
}

// `path` is the library, its folder or its manifest.
void check_owner(const fs::path& library, const fs::path& path, std::string_view what) {
  const struct stat status = status_of(path);
  if (status.st_uid != 0 && status.st_uid != geteuid())
    refuse(library,
           fmt::format("{} belongs to user {}, expected user {} or root: its code would run as you", what,
                       status.st_uid, geteuid()),
           "if you trust it, make it yours: chown, or copy it");
  if (status.st_mode & S_IWOTH)
    refuse(library, fmt::format("{} can be written by everyone", what), fmt::format("chmod o-w {}", path.string()));
  if ((status.st_mode & S_IWGRP) && !is_own_group(status.st_uid, status.st_gid))
    refuse(library, fmt::format("{} can be written by its group", what), fmt::format("chmod g-w {}", path.string()));
}

void check_access(const fs::path& library, const fs::path& manifest) {
  if (!S_ISREG(status_of(library).st_mode))
    refuse(library, "expected a library, found something that is not a regular file");
  check_owner(library, library, "the library");
  check_owner(library, library.parent_path(), "the library's folder");
  if (!manifest.empty()) check_owner(library, manifest, "its manifest");
}

void check_hash(const fs::path& path, const std::string& bytes, const std::string& expected) {
  if (expected.empty()) return;
  if (const std::string found = sha256(bytes); found != expected)
    refuse(path, fmt::format("its sha256 is {}, expected {}", found, expected),
           "the library was changed after its manifest was written");
}

void check_fingerprint(const fs::path& path, const std::string& bytes, const std::string& expected) {
  std::vector<std::string> found;
  try {
    found = symbols_in_section(bytes, kSection);
  } catch (const Error& error) {
    refuse(path, error.message(), "build the plugin again");
  }
  if (found.empty())
    refuse(path, "this library is not a Trellis plugin: it has no build fingerprint",
           "a plugin has TRELLIS_PLUGIN(name, version) in one source file");
  if (std::find(found.begin(), found.end(), expected) != found.end()) return;
  refuse(path, "built for another Trellis: " + fingerprint_difference(found.front(), expected),
         "build the plugin again, with this Trellis's headers and the compiler that built it");
}

// Loads for good: RTLD_NODELETE, which Boost.DLL cannot ask for, makes the closing of every handle harmless.
void pin(const fs::path& path) {
  if (!dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) refuse(path, dlerror());
}

}  // namespace

void check_library(const LibraryFile& file) {
  check_access(file.path, file.manifest);
  const std::string bytes = read_file(file.path);
  check_hash(file.path, bytes, file.sha256);
  check_fingerprint(file.path, bytes, file.fingerprint);
}

void* load_library(const LibraryFile& file, const std::string& symbol) {
  check_library(file);
  const fs::path path = fs::canonical(file.path);
  namespace dll = boost::dll;
  dll::shared_library library;
  try {
    library.load(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  } catch (const std::exception& exception) {
    refuse(file.path, fmt::format("cannot be loaded: {}", exception.what()),
           "a library that it needs, or a function of one, is missing");
  }
  pin(path);
  if (!library.has(symbol))
    refuse(file.path, fmt::format("this library is not a Trellis plugin: it has no function '{}'", symbol),
           "a plugin has TRELLIS_PLUGIN(name, version) in one source file");
  return reinterpret_cast<void*>(&library.get<void()>(symbol));
}

}  // namespace trellis::plugin
