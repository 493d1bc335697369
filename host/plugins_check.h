// trellis plugins check: tries the rules of its kind on a plugin, in a child process that may crash.
#pragma once

#include <string>

#include "host/verbs.h"

namespace trellis::host {

// `target`: a plugin's library, manifest or folder, or the name of a plugin in the catalog.
ExitCode check_plugins(const Context& context, const std::string& target);

// What the child does. `file`: a library or a manifest.
ExitCode examine_in_this_process(const Context& context, const std::string& file);

}  // namespace trellis::host
