#include "run/plugin/load_kernels.h"

#include <fmt/format.h>

#include "plan/plugin/library.h"
#include "trellis/plan/error.h"
#include "trellis/run/plugin.h"

namespace trellis {
namespace {

[[noreturn]] void refuse(const RunLibrary& library, const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::plugin, fmt::format("{}: {}", library.plugin, message), std::move(hint),
              {library.file.string(), 0, 0});
}

void check_info(const RunPluginInfo* info, const RunLibrary& library) {
  if (!info) refuse(library, "its trellis_run_plugin() returned null");
  if (info->abi != kPluginAbi)
    refuse(library, fmt::format("its plugin ABI is {}, expected {}", info->abi, kPluginAbi), "build the plugin again");
  if (!info->name || !info->version || !info->enroll)
    refuse(library, "its trellis_run_plugin() left out the name, the version or enroll");
}

void enroll(const RunLibrary& library, KernelLibrary& kernels) {
  using EntryPoint = const RunPluginInfo* (*)();
  const plugin::LibraryFile file = {library.file, library.sha256, TRELLIS_RUN_FINGERPRINT_STRING};
  const auto entry_point = reinterpret_cast<EntryPoint>(plugin::load_library(file, "trellis_run_plugin"));
  const RunPluginInfo* info = entry_point();
  check_info(info, library);
  try {
    info->enroll(kernels);
  } catch (const Error& error) {
    refuse(library, "its kernels failed to register: " + error.message(), error.hint());
  } catch (const std::exception& error) {
    refuse(library, fmt::format("its kernels failed to register: {}", error.what()));
  }
}

}  // namespace

void load_kernels(const Catalog& catalog, KernelLibrary& kernels) {
  for (const RunLibrary& library : catalog.run_libraries()) enroll(library, kernels);
}

}  // namespace trellis
