// Whole files in, whole files out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

// All bytes of a file. Throws Error (io) with the system's reason, also for a folder.
TRELLIS_API std::string read_file(const std::filesystem::path& path);

// Readers see the old file or the new one, never a part: written beside the target, flushed to the device, renamed.
// Its folder is made where it is missing. On failure (disk full, no permission) throws Error (io); an old file is untouched.
TRELLIS_API void write_file_atomically(const std::filesystem::path& path, std::string_view content);

// Before hours of work whose result goes there: throws the Error (io) of write_file_atomically where it would fail at
// once, for want of permission. Leaves nothing behind, and makes no folder. An empty path is no file, and fine.
TRELLIS_API void try_writing(const std::filesystem::path& path);

}  // namespace trellis
