// What the run side does for the verb train. Without LibTorch in it: the host includes this, loads libtrellis_run and
// finds the entry by its name.
#pragma once

#include <filesystem>

#include "trellis/plan/catalog.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis {

struct TrainRequest {
  RunFile run;
  const Catalog* catalog = nullptr;
  std::filesystem::path plan_file;  // instead of the run file's parallelism; empty: that
  std::filesystem::path json_file;  // a further copy of result.json; empty: none
  bool quiet = false;               // files only, nothing on stdout
};

// Trains as one rank of those that the environment tells of (RANK, WORLD_SIZE ...), or alone. Rank 0 prints to stdout
// and writes into the run's folder: run.yaml (resolved), plan.yaml, metrics.jsonl (a line a step), result.json. What an
// earlier run left there is replaced. Throws Error.
using TrainEntry = void(const TrainRequest&);
inline constexpr const char* kTrainEntry = "trellis_train";

}  // namespace trellis
