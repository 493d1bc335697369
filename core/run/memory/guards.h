// The state of a process that runs tensors: checked and set once, at its start.
#pragma once

#include <string>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis {

// Files mapped into this process whose name starts with `name` ("libtorch_cpu.so"), by their real paths.
TRELLIS_API std::vector<std::string> mapped_libraries(const std::string& name);

// Throws Error (unsupported) if two copies of LibTorch are mapped (they would abort at the first operator, or mix their
// registries), or two OpenMP runtimes (each would start its own threads). `list` is mapped_libraries; tests replace it.
TRELLIS_API void check_mapped_libraries(std::vector<std::string> (*list)(const std::string&) = &mapped_libraries);

struct RuntimeOptions {
  int threads = 0;  // of one operator; 0: OMP_NUM_THREADS, or this process's share of the cores it may use
};

// For the main thread, before the first tensor: the check above, the number of threads, denormals flushed to zero (on
// this thread and on those that it starts), freed memory kept for the next step. Returns the number of threads.
TRELLIS_API int prepare_process(const RuntimeOptions& options);

// For every further thread that runs operators: one operator thread, denormals flushed to zero.
TRELLIS_API void prepare_thread();

}  // namespace trellis
