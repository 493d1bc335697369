#include "host/run_side.h"

#include <dlfcn.h>

#include <filesystem>

#include "trellis/plan/error.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

std::filesystem::path library() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&log), &info);
  return std::filesystem::canonical(info.dli_fname).parent_path() / "libtrellis_run.so";
}

}  // namespace

void* run_side_entry(const std::string& name) {
  const std::filesystem::path path = library();
  if (!std::filesystem::exists(path))
    throw Error(ExitCode::unsupported, fmt::format("this build has no run side: there is no {}", path.string()),
                "configure with TRELLIS_RUN=ON, which needs LibTorch");
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) throw Error(ExitCode::unsupported, fmt::format("cannot load the run side: {}", dlerror()));
  void* entry = dlsym(handle, name.c_str());
  if (!entry)
    throw Error(ExitCode::unsupported,
                fmt::format("{} has no entry '{}': it is of another build", path.string(), name));
  return entry;
}

}  // namespace trellis::host
