// trellis search --sweep: the same search under several budgets, batches, numbers of devices or lengths of a sample.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/asking.h"

namespace trellis::host {

struct SweepRow {
  std::int64_t value = 0;     // of what is swept; memory: the largest budget asked for, in bytes
  std::optional<Bytes> from;  // memory: the smallest search.budget in which the plan fits
  Found found;
  std::string words;        // the plan, in a line
  std::int64_t tokens = 0;  // of a sample
  double tokens_per_second() const {
    return found.cost.samples_per_second * static_cast<double>(std::max(tokens, std::int64_t{1}));
  }
};

struct SweepResult {
  Sweep::Of of = Sweep::Of::memory;
  bool is_front = false;  // of memory: every row has `from`
  std::vector<SweepRow> rows;
  Found nothing;           // of a front without points: what is proven of that
  std::vector<std::string> remarks;  // a sentence each
  double seconds = 0;                // of all solves
  int solved = 0;
  std::string search;  // of one search over all budgets: what it went through
  const SweepRow* best() const;  // the most tokens a second, else samples; nullptr where nothing fits
};

struct SweepRequest {
  Sweep sweep;
  int most_points = 32;  // of a front
  // What the planning was loaded from: another length of a sample is another model.
  std::filesystem::path run_file;
  std::vector<std::string> overrides;
  std::optional<int> devices;
};

// By the run file's search.
SweepResult sweep(const Context&, const Planning&, const SweepRequest&);
void print(const SweepResult&);
// A list; the keys of an answer and what it is the answer to.
nlohmann::json to_json(const Planning&, const SweepResult&);

}  // namespace trellis::host
