// plugin.yaml: what a plugin is, so that it can be listed without loading code.
//
//   apiVersion: trellis/v1
//   kind: Plugin
//   type: parallelism            # or models, search
//   name: tp                     # lower-case letters, digits, underscores
//   version: 1.0.0
//   library: libtrellis_parallelism_tp.so   # relative to this file
//   run_library: libmine_run.so  # optional: kernels of the ops that it brings
//   status: stable               # optional: stable, experimental, example
//   summary: Cuts heads, ffn and vocabulary over the innermost devices.   # optional
//   sha256: 9f86d0...            # optional, of library; run_sha256 of run_library
#pragma once

#include <filesystem>

#include "trellis/plan/catalog.h"

namespace trellis::plugin {

// Strict. Does not look at the libraries.
PluginManifest read_manifest(const std::filesystem::path& file);

}  // namespace trellis::plugin
