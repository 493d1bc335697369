// The boundary of a plugin's run library: the kernels of the ops that its plan-side library declared. Write
// TRELLIS_RUN_PLUGIN(name, version) { kernels.add("kind", std::make_shared<const MyKernel>()); } in one source file, with
// the same name and version as in the manifest; name the library there as `run_library`.
#pragma once

#include <cstdint>

#include "trellis/plan/fingerprint.h"
#include "trellis/plan/plugin.h"
#include "trellis/run/kernel.h"

namespace trellis {

struct RunPluginInfo {
  std::uint32_t abi;
  const char* build;     // TRELLIS_RUN_FINGERPRINT of the headers and the LibTorch it was built with
  const char* name;
  const char* version;
  void (*enroll)(KernelLibrary&);
};

}  // namespace trellis

// As TRELLIS_PLUGIN: the fingerprint is the name of a symbol in section trellis_abi.
#define TRELLIS_RUN_PLUGIN(plugin_name, plugin_version)                                                                     \
  extern "C" __attribute__((used, visibility("default"), section("trellis_abi"))) const char TRELLIS_RUN_FINGERPRINT = 1;   \
  static void trellis_run_enroll(::trellis::KernelLibrary& kernels);                                                        \
  extern "C" __attribute__((visibility("default"))) const ::trellis::RunPluginInfo* trellis_run_plugin() {                  \
    static const ::trellis::RunPluginInfo info{::trellis::kPluginAbi, TRELLIS_RUN_FINGERPRINT_STRING, plugin_name,          \
                                               plugin_version, &trellis_run_enroll};                                        \
    return &info;                                                                                                           \
  }                                                                                                                         \
  static void trellis_run_enroll(::trellis::KernelLibrary& kernels)
