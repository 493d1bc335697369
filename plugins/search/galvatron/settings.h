// What the section `search` of a run file says (docs/galvatron.md has every key).
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trellis/plan/options.h"

namespace trellis::galvatron {

enum class ProfileMode { fixed, batch, sequence };  // "static", "batch", "sequence"
enum class DefaultDp { ddp, zero2 };

struct Settings {
  std::filesystem::path profiles, hardware;
  std::string model;  // in the files' names; empty: any
  int layers = 1;
  std::int64_t hidden = 1, sequence = 1;
  int nodes = 1, devices = 1;
  std::int64_t budget = 0;  // MiB of a device
  std::vector<std::int64_t> batches;
  std::vector<std::int64_t> micro_batches;  // empty: all divisors of the batch
  bool fine_grained = true;
  ProfileMode time_mode = ProfileMode::fixed, memory_mode = ProfileMode::fixed;
  std::string precision = "bf16";
  bool async_gradients = true;
  bool sequence_parallel = true;
  bool shared_buffer = true;
  DefaultDp default_dp = DefaultDp::zero2;
  bool gpipe = false;
  std::set<std::string> disabled;  // tp, sp, pp, dp, ckpt, zero3, vocab_tp, vocab_sp
  int max_tp = 8, max_sp = 8, max_pp = 8;
  bool exact = false;
  int threads = 0;  // 0: as many as the machine has

  bool half_precision() const { return precision != "fp32"; }
  static Settings read(const Options&);  // calls finish()
};

// The files of the reference's naming in a folder. Error (bad_input) naming the candidates where none or several fit.
std::filesystem::path find_computation(const Settings&);
std::filesystem::path find_memory(const Settings&);
std::filesystem::path find_hardware(const Settings&, const std::string& kind);  // "allreduce_bandwidth", "sp_time", ...

}  // namespace trellis::galvatron
