// What is known about each step, and the file that keeps it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "trellis/plan/export.h"
#include "trellis/plan/units.h"
#include "trellis/run/executor.h"

namespace trellis::train {

struct StepMetrics {
  std::int64_t step = 0;  // from 1
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;
  double seconds = 0;
  std::int64_t tokens = 0;  // counted ones of the whole step
  Bytes memory_peak{0};     // of this rank, since the start
  Bytes memory_predicted{0};

  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

// A file that grows line by line; each is complete on disk or an Error (io) says why not. Replaces an older file.
class TRELLIS_API LineFile {
 public:
  explicit LineFile(std::filesystem::path path);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  void write(std::string_view line);  // without its end

 private:
  std::filesystem::path path_;
  int fd_;
};

TRELLIS_API std::string json_line(const StepMetrics& metrics);
TRELLIS_API std::string json_line(std::int64_t step, const Evaluation& held_out);

// To stdout, flushed; Error (io) where that fails (a full disk, a reader that has gone).
TRELLIS_API void print_out(std::string_view text);

}  // namespace trellis::train
