// Plan files, read strictly: whatever is wrong is told with its place.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

#include "plan/plan/open_plan.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/schedule.h"

namespace trellis {
namespace {

template <class T>
T at_least_one(const Options& options, std::string_view key, T value) {
  if (value < 1) options.reject(key, fmt::format("expected at least 1, found {}", value));
  return value;
}

// Layers of a range "13-24" at a key, checked against the model's.
StageRange read_layers(const Options& options, std::string_view key, const std::string& text, int layers) {
  Range range;
  try {
    range = parse_range(text);
  } catch (const Error& error) {
    options.reject(key, error.message(), error.hint());
  }
  if (range.second >= layers)
    options.reject(key, fmt::format("there is no layer {}", range.second),
                   fmt::format("the model has layers {}", format(Range{0, layers - 1})));
  return {static_cast<int>(range.first), static_cast<int>(range.second)};
}

std::string layers_in_words(Range range) {
  return fmt::format("{} {}", range.first == range.second ? "layer" : "layers", format(range));
}

// --- pipeline ---

std::vector<std::string> known_schedules(const Dimensions& dimensions) {
  std::vector<std::string> names;
  for (const auto& dimension : dimensions) {
    const void* extension = dimension->extension(kPipelineSchedule);
    if (!extension) continue;
    const auto brought = static_cast<const PipelineSchedule*>(extension)->names();
    names.insert(names.end(), brought.begin(), brought.end());
  }
  return names;
}

void read_schedule(const Options& pipeline, const Dimensions& dimensions, Plan& plan) {
  const auto name = pipeline.find<std::string>("schedule");
  if (!name) return;
  const std::vector<std::string> known = known_schedules(dimensions);
  if (std::find(known.begin(), known.end(), *name) == known.end())
    pipeline.reject("schedule", fmt::format("no pipeline schedule named '{}'", *name),
                    known.empty() ? "none of the parallelism plugins found brings schedules"
                                  : suggestion_hint(*name, known, "known"));
  plan.schedule = *name;
}

void read_stages(const Options& pipeline, int layers, Plan& plan) {
  const auto texts = pipeline.find<std::vector<std::string>>("stages");
  if (!texts) {
    plan.stages = {{0, layers - 1}};
    return;
  }
  int next = 0;
  for (const std::string& text : *texts) {
    const StageRange stage = read_layers(pipeline, "stages", text, layers);
    if (stage.first != next)
      pipeline.reject("stages",
                      fmt::format("stage {} starts at layer {}, expected {}", plan.stages.size(), stage.first, next),
                      "stages follow one another without gap or overlap, from layer 0 on");
    next = stage.last + 1;
    plan.stages.push_back(stage);
  }
  if (next != layers)
    pipeline.reject("stages", fmt::format("no stage has {}", layers_in_words({next, layers - 1})),
                    plan.stages.empty() ? "" : fmt::format("the stages end at layer {}; the model's last one is {}", next - 1, layers - 1));
}

// --- global ---

std::vector<int> prime_factors(int n) {
  std::vector<int> factors;
  for (int factor = 2; factor <= n / factor; ++factor)
    for (; n % factor == 0; n /= factor) factors.push_back(factor);
  if (n > 1) factors.push_back(n);
  return factors;
}

void read_atoms(const Options& global, Plan& plan) {
  const int stages = static_cast<int>(plan.stages.size());
  if (plan.devices % stages != 0)
    global.reject("devices", fmt::format("{} devices cannot be shared by {} stages: all stages own equally many",
                                         plan.devices, stages));
  const int line = plan.devices / stages;
  const std::vector<int> factors = prime_factors(line);
  const auto atoms = global.find<std::vector<int>>("atoms");
  plan.atoms = atoms.value_or(factors);
  std::vector<int> sorted = plan.atoms;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != factors)
    global.reject(
        "atoms",
        fmt::format("[{}] is not a product of primes for the {} devices of a stage", fmt::join(plan.atoms, ", "), line),
        fmt::format("expected [{}], in any order", fmt::join(factors, ", ")));
}

void read_global(const Options& global, Plan& plan) {
  plan.batch = at_least_one(global, "batch", global.required<std::int64_t>("batch"));
  plan.micro_batches = at_least_one(global, "micro_batches", global.get("micro_batches", 1));
  plan.devices = at_least_one(global, "devices", global.required<int>("devices"));
  if (plan.micro_batches > plan.batch)
    global.reject(
        "micro_batches",
        fmt::format("{} micro-batches cannot be made of a batch of {} samples", plan.micro_batches, plan.batch),
        fmt::format("expected at most {}", plan.batch));
  read_atoms(global, plan);
}

// --- layers ---

void read_strategies(const Options& root, const Dimensions& dimensions, int layers, Plan& plan) {
  if (!root.has("layers")) root.required<std::string>("layers");  // says that it is missing
  plan.layers.resize(static_cast<std::size_t>(layers));
  std::vector<std::string> owner(plan.layers.size());
  for (const Options& entry : root.list("layers")) {
    const auto ranges = entry.required<std::vector<std::string>>("layers");
    const Strategy strategy = read_strategy(entry, dimensions, {"layers"});
    for (const std::string& text : ranges) {
      const StageRange range = read_layers(entry, "layers", text, layers);
      for (int layer = range.first; layer <= range.last; ++layer) {
        std::string& owned = owner[static_cast<std::size_t>(layer)];
        if (!owned.empty()) entry.reject("layers", fmt::format("layer {} is already in {}", layer, owned));
        owned = entry.path();
        plan.layers[static_cast<std::size_t>(layer)] = strategy;
      }
    }
  }
  std::vector<std::string> missing;
  for (int first = 0; first < layers; ++first) {
    const auto is_missing = [&](int layer) { return layer < layers && owner[static_cast<std::size_t>(layer)].empty(); };
    if (!is_missing(first)) continue;
    int last = first;
    while (is_missing(last + 1)) ++last;
    missing.push_back(format(Range{first, last}));
    first = last;
  }
  if (!missing.empty())
    root.reject("layers", fmt::format("no strategy for layers {}", fmt::join(missing, ", ")),
                fmt::format("the model has layers {}", format(Range{0, layers - 1})));
}

// --- what is told, and not obeyed ---

double read_throughput(const Options& predicted) {
  static constexpr std::string_view kUnit = " samples/s";
  const auto text = predicted.find<std::string>("throughput");
  if (!text) return 0;
  double value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  const std::string_view rest(end, static_cast<std::size_t>(text->data() + text->size() - end));
  if (error != std::errc() || rest != kUnit)
    predicted.reject("throughput", fmt::format("expected a number and '{}', found '{}'", kUnit, *text));
  return value;
}

void read_predicted(const Options& root, Plan& plan) {
  if (!root.has("predicted")) return;
  const Options section = root.section("predicted").with_owner("a plan's prediction");
  Predicted predicted;
  predicted.step = section.required<Picoseconds>("step");
  predicted.memory = section.get("memory", std::vector<Bytes>{});
  predicted.samples_per_second = read_throughput(section);
  plan.predicted = std::move(predicted);
}

}  // namespace

Plan read_plan(const Options& options, const Dimensions& dimensions, int layers) {
  const Options root = options.with_owner("a plan");
  expect_plan(root);
  Plan plan;
  const Options made_by = root.section("made_by");
  for (const std::string& key : made_by.keys()) plan.made_by[key] = made_by.raw(key);
  read_predicted(root, plan);
  const Options pipeline = root.section("pipeline").with_owner("a plan's pipeline");
  read_schedule(pipeline, dimensions, plan);
  read_stages(pipeline, layers, plan);
  if (!root.has("global")) root.required<std::string>("global");
  read_global(root.section("global").with_owner("a plan's global section"), plan);
  read_strategies(root, dimensions, layers, plan);
  root.finish();
  return plan;
}

}  // namespace trellis
