// Searches that bring their own model and costs (kStandaloneSearch): the run file needs a section `search` only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/verbs.h"

namespace trellis::host {

struct StandaloneArgs {
  std::filesystem::path out, json;
};

// The search that the document names brings its own costs.
bool is_standalone(const Context&, const Options& document);
// Runs it, prints its answers, writes plans and JSON. Throws Error (infeasible) where nothing fits, after writing.
ExitCode run_standalone(const Context&, const Options& document, const StandaloneArgs&);

}  // namespace trellis::host
