// Which files a run reads its text from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// Each entry is a file, a folder (all files below it but hidden ones) or a pattern: * and ? within a name, ** for any
// folders. The order is that of the entries, within one that of the names; a file counts once. Throws Error at `mark`
// for an entry that names nothing.
TRELLIS_API std::vector<std::filesystem::path> find_files(const std::vector<std::string>& entries, const Mark& mark);

}  // namespace trellis::data
