// A plugin's shared library: checked first, because its constructors run as soon as it is loaded, then loaded for good.
#pragma once

#include <filesystem>
#include <string>

#include "trellis/plan/export.h"

namespace trellis::plugin {

struct LibraryFile {
  std::filesystem::path path;
  std::string sha256;       // of the file; empty: not checked
  std::string fingerprint;  // what it must have been built with: TRELLIS_FINGERPRINT or TRELLIS_RUN_FINGERPRINT
  std::filesystem::path manifest = {};  // the file that names the library and its hash; empty: none does
};

// A regular file that only its owner can write, as can the folder that it is in and its manifest; the owner is this user or root; the
// hash and the fingerprint are the expected ones. Throws Error (plugin) saying which is not. Loads nothing.
TRELLIS_API void check_library(const LibraryFile& file);

// Checks, loads, and returns the address of a symbol. The library is never unloaded: its code is behind every object
// that it made. Throws Error (plugin).
TRELLIS_API void* load_library(const LibraryFile& file, const std::string& symbol);

// Which parts of two fingerprints differ, for people: "compiler gcc 13.2 (expected gcc 12.2)".
std::string fingerprint_difference(const std::string& found, const std::string& expected);

}  // namespace trellis::plugin
