// trellis plugins check: tries the rules of its kind on a plugin, in a child process that may crash.
#pragma once

#include <string>

#include "host/verbs.h"

namespace trellis::host {

// `target`: a plugin's library, manifest or folder, or the name of a plugin in the catalog.
// `json_file`: where the verdicts are written, too; empty for nowhere.
ExitCode check_plugins(const Context& context, const std::string& target, const std::string& json_file);

// What the child does. `file`: a library or a manifest.
ExitCode examine_in_this_process(const Context& context, const std::string& file);

}  // namespace trellis::host
