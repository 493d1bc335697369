// Run files, read strictly: every section, also those that the verb at hand does not need.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "plan/run/read_data_section.h"
#include "plan/run/values.h"
#include "trellis/plan/error.h"
#include "trellis/plan/run_file.h"

namespace trellis {
namespace {

using namespace values;

const std::vector<std::string> kSections = {"name", "seed",  "output",  "plugins",     "model",  "weights", "export",
                                            "data", "train", "devices", "parallelism", "search", "profile"};

constexpr std::int64_t kMostDevices = 1 << 20;  // whose memory a file may list

// {0-3: 80GiB, 4-7: 40GiB}
std::vector<Bytes> memory_by_range(const Options& ranges) {
  std::map<std::int64_t, Bytes> found;
  for (const std::string& key : ranges.keys()) {
    const Bytes memory = at_least(ranges, key, Bytes(1), ranges.required<Bytes>(key));
    std::vector<Range> parsed;
    try {
      parsed = parse_ranges(key);
    } catch (const Error& error) {
      ranges.reject(key, error.message(), "devices and their memory, as in {0-3: 80GiB, 4-7: 40GiB}");
    }
    for (const auto& [first, last] : parsed) {
      if (last >= kMostDevices)
        ranges.reject(key, fmt::format("expected devices below {}, found {}", kMostDevices, last));
      for (std::int64_t device = first; device <= last; ++device)
        if (!found.emplace(device, memory).second)
          ranges.reject(key, fmt::format("device {} is named twice", device), "ranges have both ends included");
    }
  }
  if (found.empty()) ranges.reject({}, "an empty mapping", "devices and their memory, as in {0-3: 80GiB, 4-7: 40GiB}");
  std::vector<Bytes> memory;
  for (const auto& [device, bytes] : found) {
    if (device != static_cast<std::int64_t>(memory.size()))
      ranges.reject({}, fmt::format("device {} is missing", memory.size()), "every device is named once, from 0 on");
    memory.push_back(bytes);
  }
  return memory;
}

// 80GiB; [80GiB, 80GiB, 40GiB, 40GiB]; {0-1: 80GiB, 2-3: 40GiB}
std::vector<Bytes> read_memory(const Options& options, std::string_view key) {
  if (options.is_map(key)) return memory_by_range(options.section(key));
  const auto memory = options.find<std::vector<Bytes>>(key);
  if (!memory) return {};
  if (memory->empty()) options.reject(key, "an empty list", "one entry a device, or one for all");
  for (const Bytes bytes : *memory) at_least(options, key, Bytes(1), bytes);
  return *memory;
}

PluginChoice read_choice(const Options& document, std::string_view section) {
  PluginChoice choice{{}, document.section(section)};
  if (!document.has(section)) return choice;
  choice.use = choice.options.required<std::string>("use");
  if (choice.use.empty()) choice.options.reject("use", "expected the name of a plugin, found nothing");
  return choice;
}

// --- sections ---

std::vector<std::filesystem::path> read_plugins(const Options& document) {
  const Options options = document.section("plugins").with_owner("section 'plugins'");
  std::vector<std::filesystem::path> folders;
  for (const std::string& folder : options.get("path", std::vector<std::string>{})) {
    folders.push_back(path_beside(options.mark("path"), folder));
    if (!std::filesystem::is_directory(folders.back()))
      options.reject("path", fmt::format("there is no folder '{}'", folders.back().string()),
                     "a path in a file is relative to that file");
  }
  options.finish();
  return folders;
}

void read_learning_rate(const Options& options, TrainSection& train) {
  train.learning_rate = positive(options, "learning_rate", options.get("learning_rate", train.learning_rate));
  train.min_learning_rate =
      not_negative(options, "min_learning_rate", options.get("min_learning_rate", train.learning_rate / 10));
  if (train.min_learning_rate > train.learning_rate)
    options.reject("min_learning_rate", fmt::format("{} is more than learning_rate, which is {}",
                                                    train.min_learning_rate, train.learning_rate));
  train.warmup = at_least<std::int64_t>(options, "warmup", 0, options.get("warmup", train.warmup));
  train.schedule =
      std::array{LearningRateSchedule::cosine, LearningRateSchedule::linear, LearningRateSchedule::constant}.at(
          word(options, "schedule", {"cosine", "linear", "constant"}));
}

TrainSection read_train(const Options& document) {
  const Options options = document.section("train").with_owner("section 'train'");
  TrainSection train;
  train.steps = find_at_least<std::int64_t>(options, "steps", 1);
  train.batch = find_at_least<std::int64_t>(options, "batch", 1);
  read_learning_rate(options, train);
  train.weight_decay = not_negative(options, "weight_decay", options.get("weight_decay", train.weight_decay));
  train.beta1 = fraction(options, "beta1", options.get("beta1", train.beta1));
  train.beta2 = fraction(options, "beta2", options.get("beta2", train.beta2));
  train.eps = positive(options, "eps", options.get("eps", train.eps));
  train.clip = not_negative(options, "clip", options.get("clip", train.clip));
  train.dtype = std::array{Dtype::f32, Dtype::bf16, Dtype::f64}.at(word(options, "dtype", {"f32", "bf16", "f64"}));
  const auto count = [&](std::string_view key, std::int64_t smallest, std::int64_t& value) {
    value = at_least(options, key, smallest, options.get(key, value));
  };
  count("evaluate_every", 0, train.evaluate_every);
  count("evaluate_batches", 0, train.evaluate_batches);
  count("log_every", 1, train.log_every);
  train.check = options.get("check", train.check);
  options.finish();
  return train;
}

DevicesSection read_devices(const Options& document) {
  const Options options = document.section("devices").with_owner("section 'devices'");
  DevicesSection devices;
  devices.count = find_at_least(options, "count", 1);
  devices.kind = std::array<const char*, 2>{"cpu", "cuda"}.at(word(options, "kind", {"cpu", "cuda"}));
  devices.memory = read_memory(options, "memory");
  devices.threads = at_least(options, "threads", 0, options.get("threads", devices.threads));
  devices.timeout = at_least(options, "timeout", 1_s, options.get("timeout", devices.timeout));
  devices.interface = options.get("interface", devices.interface);
  options.finish();
  return devices;
}

ParallelismSection read_parallelism(const Options& document) {
  const Options options = document.section("parallelism").with_owner("section 'parallelism'");
  ParallelismSection parallelism;
  if (const auto plan = options.find<std::string>("plan")) {
    if (plan->empty()) options.reject("plan", "expected the name of a plan file, found nothing");
    if (options.has("uniform"))
      options.reject("uniform", "the section has a plan file, too",
                     "leave one of them out: a plan says it for every layer");
    parallelism.plan_mark = options.mark("plan");
    parallelism.plan = path_beside(parallelism.plan_mark, *plan).lexically_normal();
    options.finish();
    return parallelism;
  }
  // Which names are known is the dimensions' to say (uniform_plan); that nothing else is written here, ours.
  for (const std::string& key : options.keys())
    if (key != "uniform")
      options.reject(key, "unknown option of section 'parallelism'",
                     suggestion_hint(key, std::vector<std::string>{"plan", "uniform"}, "known"));
  parallelism.uniform = options.section("uniform");
  return parallelism;
}

SearchSection read_search(const Options& document) {
  SearchSection search;
  // Which algorithm has a default, unlike which model.
  const Options section = document.section("search");
  if (section.has("use")) search.algorithm = read_choice(document, "search");
  else search.algorithm.options = section;
  const Options& options = search.algorithm.options;
  search.micro_batches = options.get("micro_batches", std::vector<int>{});
  for (const int count : search.micro_batches) at_least(options, "micro_batches", 1, count);
  search.budget = read_memory(options, "budget");
  if (options.has("margin")) search.margin = share(options, "margin", 0);
  return search;
}

void read_weights(const Options& document, RunFile& run) {
  const auto folder = [&](std::string_view key) {
    const std::string name = document.get(key, "");
    if (document.has(key) && name.empty()) document.reject(key, "expected the name of a folder, found nothing");
    return name;
  };
  if (const std::string weights = folder("weights"); !weights.empty()) {
    run.weights_mark = document.mark("weights");
    run.weights = path_beside(run.weights_mark, weights).lexically_normal();
  }
  run.export_folder = std::filesystem::path(folder("export")).lexically_normal();
  run.export_mark = document.mark("export");
}

std::uint64_t read_seed(const Options& document) {
  return static_cast<std::uint64_t>(at_least<std::int64_t>(document, "seed", 0, document.get<std::int64_t>("seed", 0)));
}

std::string read_name(const Options& document) {
  const std::string name = document.get("name", std::filesystem::path(document.mark().file).stem().string());
  if (name.empty()) document.reject("name", "an empty name");
  if (name == "." || name == ".." || name.find('/') != std::string::npos)
    document.reject("name", fmt::format("'{}' cannot be the name of a folder", name), "choose the folder with output");
  return name;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string in_full(const std::filesystem::path& path) {
  return quoted(std::filesystem::absolute(path).lexically_normal().string());
}

template <class Paths>
std::string absolute_list(const Paths& paths) {
  std::vector<std::string> result;
  for (const auto& path : paths) result.push_back(in_full(path));
  return fmt::format("[{}]", fmt::join(result, ", "));
}

}  // namespace

std::filesystem::path path_beside(const Mark& mark, const std::string& written) {
  if (mark.line == 0) return written;  // the command line
  return std::filesystem::path(mark.file).parent_path() / written;
}

RunFile RunFile::load(const std::filesystem::path& path, std::span<const std::string> overrides) {
  return read(Options::load_run_file(path, overrides));
}

RunFile RunFile::read(const Options& document) {
  // Not finish(): the options of plugins are not read yet.
  for (const std::string& key : document.keys())
    if (std::find(kSections.begin(), kSections.end(), key) == kSections.end())
      document.reject(key, "unknown section of a run file", suggestion_hint(key, kSections, "known"));
  RunFile run;
  run.document = document;
  run.name = read_name(document);
  run.seed = read_seed(document);
  run.output = document.get("output", "runs/" + run.name);
  if (run.output.empty()) document.reject("output", "an empty name");
  run.plugin_folders = read_plugins(document);
  if (!document.has("model")) document.reject("model", "required, and not given", "write model: {use: gpt, ...}");
  run.model = read_choice(document, "model");
  read_weights(document, run);
  run.data = read_data_section(document);
  run.train = read_train(document);
  run.devices = read_devices(document);
  run.parallelism = read_parallelism(document);
  run.search = read_search(document);
  run.profile = document.section("profile");
  return run;
}

std::string RunFile::resolved() const {
  Options copy = Options::from_text(document.to_yaml(), "resolved");
  copy.set("name", quoted(name));
  copy.set("seed", fmt::format("{}", seed));
  copy.set("output", in_full(output));
  if (!plugin_folders.empty()) copy.set("plugins.path", absolute_list(plugin_folders));
  if (!weights.empty()) copy.set("weights", in_full(weights));
  if (!export_folder.empty()) copy.set("export", in_full(export_folder));
  if (!data.files.empty()) copy.set("data.files", absolute_list(data.files));
  if (!data.held_out_files.empty()) copy.set("data.held_out_files", absolute_list(data.held_out_files));
  if (!data.tokenizer.empty() && data.tokenizer != "byte") copy.set("data.tokenizer", in_full(data.tokenizer));
  for (const auto& [key, path] : data.image.paths()) copy.set("data." + key, in_full(path));
  if (!data.sources.empty()) {
    std::vector<std::string> sources;
    for (const DataPart& part : data.sources)
      sources.push_back(fmt::format("{{files: {}, weight: {}}}", absolute_list(part.files), part.weight));
    copy.set("data.sources", fmt::format("[{}]", fmt::join(sources, ", ")));
  }
  if (!parallelism.plan.empty()) copy.set("parallelism.plan", in_full(parallelism.plan));
  const auto make_absolute = [&](const Options& section, std::string_view key) {
    if (section.has(key)) copy.set(section.path(key), in_full(path_beside(section.mark(key), section.raw(key))));
  };
  make_absolute(profile, "cluster");
  make_absolute(profile, "file");
  make_absolute(search.algorithm.options, "start_from");
  return copy.to_yaml();
}

}  // namespace trellis
