#include "run/train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "trellis/plan/error.h"

namespace trellis::train {
namespace {

[[noreturn]] void fail_write(std::string_view where, int error) {
  fail(ExitCode::io, "cannot write {}: {}", where, std::generic_category().message(error));
}

}  // namespace

LineFile::LineFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (fd_ < 0) fail_write(fmt::format("'{}'", path_.string()), errno);
}

LineFile::~LineFile() { ::close(fd_); }

void LineFile::write(std::string_view line) {
  const std::string text = std::string(line) + '\n';
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_write(fmt::format("'{}'", path_.string()), errno);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string json_line(const StepMetrics& metrics) {
  return nlohmann::ordered_json{{"step", metrics.step},
                                {"loss", metrics.loss},
                                {"learning_rate", metrics.learning_rate},
                                {"gradient_norm", metrics.gradient_norm},
                                {"seconds", metrics.seconds},
                                {"tokens_per_second", metrics.tokens_per_second()},
                                {"memory_peak", metrics.memory_peak.value},
                                {"memory_predicted", metrics.memory_predicted.value}}
      .dump();
}

std::string json_line(std::int64_t step, const Evaluation& held_out) {
  nlohmann::ordered_json line = {{"step", step}, {"held_out_loss", held_out.loss}};
  if (held_out.accuracy) line["held_out_accuracy"] = *held_out.accuracy;
  return line.dump();
}

void print_out(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) fail_write("standard output", errno);
}

}  // namespace trellis::train
