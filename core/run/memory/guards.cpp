#include "run/memory/guards.h"

#include <ATen/Parallel.h>

#include <link.h>
#include <malloc.h>
#include <sched.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <filesystem>
#include <limits>

#include <fmt/ranges.h>

#include "run/comm/environment.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

struct Search {
  const std::string& name;
  std::vector<std::string> found;
};

int visit(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  const std::filesystem::path path = info->dlpi_name;
  if (!path.filename().string().starts_with(search.name)) return 0;
  std::error_code ignored;
  const auto real = std::filesystem::weakly_canonical(path, ignored).string();
  if (std::find(search.found.begin(), search.found.end(), real) == search.found.end()) search.found.push_back(real);
  return 0;
}

void flush_denormals() {
#if defined(__SSE__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#endif
}

int usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return 1;
}

int share_of_cores() {
  const int ranks = std::max(1, environment_number("LOCAL_WORLD_SIZE").value_or(1));
  return std::max(1, usable_cores() / ranks);
}

// Programs allocate the same sizes every step. By default glibc gives large blocks back to the system when they are
// freed, and pays for every page again.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 16 << 20);
}

}  // namespace

std::vector<std::string> mapped_libraries(const std::string& name) {
  Search search{name, {}};
  dl_iterate_phdr(&visit, &search);
  return search.found;
}

void check_mapped_libraries(std::vector<std::string> (*list)(const std::string&)) {
  for (const char* name : {"libc10.so", "libtorch_cpu.so"})
    if (const auto found = list(name); found.size() > 1)
      throw Error(ExitCode::unsupported, fmt::format("two copies of LibTorch are loaded: {}", fmt::join(found, ", ")),
                  "build the plugin against the LibTorch that trellis uses");
  std::vector<std::string> runtimes;
  for (const char* name : {"libgomp", "libomp.so", "libiomp5"})
    for (auto& path : list(name)) runtimes.push_back(std::move(path));
  if (runtimes.size() > 1)
    throw Error(ExitCode::unsupported, fmt::format("two OpenMP runtimes are loaded: {}", fmt::join(runtimes, ", ")),
                "LibTorch brings its own: build plugins without -fopenmp");
}

int prepare_process(const RuntimeOptions& options) {
  check_mapped_libraries();
  flush_denormals();
  keep_freed_memory();
  const int threads = options.threads > 0
                          ? options.threads
                          : std::max(1, environment_number("OMP_NUM_THREADS").value_or(share_of_cores()));
  at::set_num_threads(threads);    // OpenMP's and MKL's
  at::set_num_interop_threads(1);  // nothing here uses that pool
  return threads;
}

void prepare_thread() {
  flush_denormals();
  at::set_num_threads(1);
}

}  // namespace trellis
