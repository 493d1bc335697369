#include "settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace trellis::galvatron {
namespace {

template <class T>
T at_least(const Options& options, std::string_view key, T smallest, T value) {
  if (value < smallest) options.reject(key, fmt::format("expected at least {}, found {}", smallest, value));
  return value;
}

template <class T>
T required_at_least(const Options& options, std::string_view key, T smallest) {
  return at_least(options, key, smallest, options.required<T>(key));
}

std::size_t word(const Options& options, std::string_view key, const std::vector<std::string>& words,
                 const std::string& otherwise) {
  const std::string value = options.get(key, otherwise);
  const auto found = std::find(words.begin(), words.end(), value);
  if (found == words.end())
    options.reject(key, fmt::format("expected {}, found '{}'", fmt::join(words, " or "), value),
                   suggestion_hint(value, words, "known"));
  return static_cast<std::size_t>(found - words.begin());
}

// As a file writes it: beside that file; on the command line: in the current folder.
std::filesystem::path folder(const Options& options, std::string_view key) {
  const auto written = options.required<std::string>(key);
  const Mark mark = options.mark(key);
  std::filesystem::path path = mark.line == 0 || mark.file == "command line"
                                   ? std::filesystem::path(written)
                                   : std::filesystem::path(mark.file).parent_path() / written;
  path = path.lexically_normal();
  if (!std::filesystem::is_directory(path))
    options.reject(key, fmt::format("there is no folder '{}'", path.string()),
                   "a path in a file is relative to that file");
  return path;
}

int layers_of(const Options& options) {
  const auto counts = options.required<std::vector<int>>("layers");
  if (counts.size() != 1)
    options.reject("layers", fmt::format("expected one number of layers, found {}", counts.size()),
                   "the main branch of the reference profiles models of one type of layer only");
  return at_least(options, "layers", 1, counts.front());
}

std::vector<std::int64_t> counts_of(const Options& options, std::string_view key) {
  auto counts = options.get(key, std::vector<std::int64_t>{});
  for (const std::int64_t count : counts) at_least<std::int64_t>(options, key, 1, count);
  return counts;
}

void read_devices(const Options& options, Settings& s) {
  s.nodes = at_least(options, "nodes", 1, options.get("nodes", 1));
  s.devices = required_at_least(options, "gpus", 1);
  if ((s.devices & (s.devices - 1)) != 0)
    options.reject("gpus", fmt::format("{} is no power of two", s.devices),
                   "the reference's degrees are powers of two");
  if (s.devices % s.nodes != 0)
    options.reject("nodes", fmt::format("{} GPUs cannot be shared by {} nodes", s.devices, s.nodes),
                   "gpus counts those of all nodes");
  const Bytes memory = required_at_least(options, "memory", Bytes(1));
  s.budget = memory.value >> 20;
  if (s.budget < 1) options.reject("memory", fmt::format("expected at least 1 MiB, found {}", memory));
}

void read_space(const Options& options, Settings& s) {
  s.max_tp = at_least(options, "max_tp", 1, options.get("max_tp", s.max_tp));
  s.max_sp = at_least(options, "max_sp", 1, options.get("max_sp", s.max_sp));
  s.max_pp = at_least(options, "max_pp", 1, options.get("max_pp", s.max_pp));
  static const std::vector<std::string> known = {"tp", "sp", "pp", "dp", "ckpt", "zero3", "vocab_tp", "vocab_sp"};
  for (const std::string& name : options.get("disable", std::vector<std::string>{})) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      options.reject("disable", fmt::format("unknown: '{}'", name), suggestion_hint(name, known, "known"));
    s.disabled.insert(name);
  }
}

}  // namespace

Settings Settings::read(const Options& options) {
  options.find<std::string>("use");
  Settings s;
  s.profiles = folder(options, "profiles");
  s.hardware = folder(options, "hardware");
  s.model = options.get("model", "");
  s.layers = layers_of(options);
  s.hidden = required_at_least<std::int64_t>(options, "hidden", 1);
  s.sequence = required_at_least<std::int64_t>(options, "sequence", 1);
  read_devices(options, s);
  s.batches = counts_of(options, "batch");
  if (s.batches.empty()) options.reject("batch", "required, and not given", "samples of a step: a number or a list");
  s.micro_batches = counts_of(options, "micro_batches");
  s.fine_grained = options.get("fine_grained", s.fine_grained);
  constexpr std::array modes{ProfileMode::fixed, ProfileMode::batch, ProfileMode::sequence};
  s.time_mode = modes.at(word(options, "time_mode", {"static", "batch", "sequence"}, "static"));
  s.memory_mode =
      word(options, "memory_mode", {"static", "sequence"}, "static") == 0 ? ProfileMode::fixed : ProfileMode::sequence;
  static const std::vector<std::string> precisions = {"bf16", "fp16", "fp32"};
  s.precision = precisions.at(word(options, "precision", precisions, "bf16"));
  s.async_gradients = options.get("async_gradients", s.async_gradients);
  s.sequence_parallel = options.get("sequence_parallel", s.sequence_parallel);
  s.shared_buffer = options.get("shared_buffer", s.shared_buffer);
  s.default_dp = word(options, "default_dp", {"zero2", "ddp"}, "zero2") == 0 ? DefaultDp::zero2 : DefaultDp::ddp;
  s.gpipe = word(options, "schedule", {"1f1b", "gpipe"}, "1f1b") == 1;
  read_space(options, s);
  s.exact = options.get("exact_on_same_costs", s.exact);
  s.threads = at_least(options, "threads", 0, options.get("threads", s.threads));
  if (s.memory_mode == ProfileMode::sequence && !s.sequence_parallel)
    options.reject("memory_mode", "sequence needs sequence_parallel: on",
                   "the reference has no other memory profiles by sequence length");
  options.finish();
  return s;
}

}  // namespace trellis::galvatron
