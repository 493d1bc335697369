// What the run side does for the verb verify. Without LibTorch in it: the host includes this, loads libtrellis_run and
// finds the entry by its name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "trellis/plan/catalog.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis {

struct VerifyRequest {
  RunFile run;
  const Catalog* catalog = nullptr;
  int plans = 0;                    // random ones
  int first = 0;                    // index of the first random plan of the seed
  int ranks = 8;                    // of random plans
  std::uint64_t seed = 1;           // of plans, weights, data and dropout
  std::filesystem::path plan_file;  // check this plan, too; empty: none
  bool full = false;                // the model as it is, instead of shrunk
  std::optional<Dtype> dtype;       // else f64
  bool as_rank = false;             // this process is one rank of those that the environment tells of
  bool gloo = false;                // thread ranks over Gloo instead of memory; always with `full`, which checks memory
  std::filesystem::path json_file;  // empty: none
};

// Checks the plans and prints what it found to stdout. Returns the number of plans that failed (on rank 0; 0 on the
// others). Throws Error where nothing could be checked.
using VerifyEntry = int(const VerifyRequest&);
inline constexpr const char* kVerifyEntry = "trellis_verify";

}  // namespace trellis
