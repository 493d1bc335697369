// The space of a search, as the sections `search`, `train` and `devices` say it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "host/planning.h"
#include "plan/base/words.h"
#include "plan/plan/open_plan.h"
#include "trellis/plan/prediction.h"

namespace trellis::host {
namespace {

constexpr double kMargin = 0.05;               // of the budget: allocators and libraries take some that no replay sees
constexpr std::int64_t kMostBatches = 10'000;  // that one range may name

const std::vector<std::string> kObjectives = {"samples", "tokens", "step"};

std::int64_t at_least_one(const Options& section, std::string_view key, std::int64_t value) {
  if (value < 1) section.reject(key, fmt::format("expected at least 1, found {}", value));
  return value;
}

// "64", "32-128 step 32", "6-8"
void add_batches(const Options& section, const std::string& text, std::vector<std::int64_t>& batches) {
  static constexpr std::string_view kStep = " step ";
  const std::size_t at = text.find(kStep);
  std::int64_t step = 1;
  if (at != std::string::npos) {
    const std::string word = text.substr(at + kStep.size());
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), step);
    if (error != std::errc() || end != word.data() + word.size() || step < 1)
      section.reject("batch", fmt::format("expected a step of at least 1, found '{}'", word), "as in 32-128 step 32");
  }
  Range range;
  try {
    range = parse_range(text.substr(0, at));
  } catch (const Error& error) {
    section.reject("batch", error.message(), "a number, a range with a step (32-128 step 32), or a list of these");
  }
  at_least_one(section, "batch", range.first);
  if ((range.second - range.first) / step >= kMostBatches)
    section.reject("batch", fmt::format("'{}' has more than {} batches", text, kMostBatches), "as in 32-128 step 32");
  for (std::int64_t batch = range.first; batch <= range.second; batch += step) batches.push_back(batch);
}

// A fixed number of tokens is a number of samples.
std::int64_t batch_of_tokens(const Options& section, const ModelSpec& model) {
  static constexpr std::string_view kKey = "tokens_per_step";
  if (section.has("batch"))
    section.reject(kKey, "search.batch is given, too", "leave one of them out: both say how many samples a step has");
  const auto tokens = at_least_one(section, kKey, section.required<std::int64_t>(kKey));
  if (model.sequence < 1) section.reject(kKey, "samples of this model have no tokens", "write search.batch");
  if (tokens % model.sequence != 0) {
    const std::int64_t below = tokens / model.sequence * model.sequence;
    section.reject(kKey, fmt::format("{} tokens are no whole number of samples of {} tokens", tokens, model.sequence),
                   fmt::format("{}{}", below > 0 ? fmt::format("{} or ", below) : "", below + model.sequence));
  }
  return tokens / model.sequence;
}

std::vector<std::int64_t> read_batches(const Planning& p) {
  const Options& section = p.run.search.algorithm.options;
  if (section.has("tokens_per_step")) return {batch_of_tokens(section, p.model)};
  std::vector<std::int64_t> batches;
  if (section.has("batch")) {
    for (const std::string& text : section.get("batch", std::vector<std::string>{}))
      add_batches(section, text, batches);
    if (batches.empty()) section.reject("batch", "an empty list: there is no batch to choose");
    return batches;
  }
  if (!p.run.train.batch)
    p.run.document.section("train").reject(
        "batch", "required, and not given",
        "samples of a step, over all devices; or search.batch, search.tokens_per_step");
  return {*p.run.train.batch};
}

bool several(std::vector<std::int64_t> batches) {
  return std::ranges::any_of(batches, [&](std::int64_t batch) { return batch != batches.front(); });
}

}  // namespace

std::string_view name_of(Objective objective) { return kObjectives[static_cast<std::size_t>(objective)]; }

Objective Planning::objective() const {
  const Options& section = run.search.algorithm.options;
  const bool is_free = several(read_batches(*this));
  if (!section.has("objective")) return is_free ? Objective::samples : Objective::step;
  const auto word = section.get("objective", "");
  const auto found = std::ranges::find(kObjectives, word);
  if (found == kObjectives.end())
    section.reject("objective", fmt::format("expected {}, found '{}'", fmt::join(kObjectives, " or "), word),
                   suggestion_hint(word, kObjectives, "known"));
  const auto objective = static_cast<Objective>(found - kObjectives.begin());
  if (objective == Objective::step && is_free)
    section.reject("objective", "there are several batches: the shortest step would be that of the smallest",
                   "samples or tokens, or one batch");
  if (objective == Objective::tokens && model.sequence < 1)
    section.reject("objective", "samples of this model have no tokens", "samples");
  return objective;
}

namespace {

// As it is written: one for all devices, or one a device.
std::vector<Bytes> whole_budgets(const Planning& p) {
  const bool of_search = !p.run.search.budget.empty();
  const std::vector<Bytes>& written = of_search ? p.run.search.budget : p.run.devices.memory;
  if (written.empty()) return {p.cluster.memory};
  if (written.size() > 1 && written.size() != static_cast<std::size_t>(p.devices))
    p.run.document.section(of_search ? "search" : "devices")
        .reject(of_search ? "budget" : "memory",
                fmt::format("it is of {} devices, the run has {}", written.size(), p.devices),
                "one for all, or one for each: [80GiB, 40GiB], {0-3: 80GiB, 4-7: 40GiB}");
  return written;
}

}  // namespace

double Planning::margin() const {
  return std::max(run.search.margin.value_or(kMargin), least_margin(std::ranges::min(whole_budgets(*this))));
}

Bytes Planning::budget() const { return scaled(std::ranges::min(whole_budgets(*this)), 1 - margin()); }

std::vector<Bytes> Planning::budgets() const {
  std::vector<Bytes> all = whole_budgets(*this);
  const auto [least, most] = std::ranges::minmax(all);
  if (least == most) return {};
  for (Bytes& bytes : all) bytes = scaled(bytes, 1 - margin());
  return all;
}

SpaceOptions Planning::space() const {
  const Options& section = run.search.algorithm.options;
  SpaceOptions space;
  space.batches = read_batches(*this);
  space.batch = space.batches.front();
  space.devices = devices;
  space.devices_in_node = std::min(cluster.devices_per_node, devices);
  space.budget = budget();
  space.budgets = budgets();
  space.micro_batches = run.search.micro_batches;
  space.stages = section.get("stages", std::vector<int>{});
  space.schedules = section.get("schedules", std::vector<std::string>{});
  space.atoms = section.get("atoms", std::vector<std::vector<int>>{});
  for (const std::vector<int>& atoms : space.atoms)
    if (const int line = DeviceLine{atoms}.size(); atoms.empty() || line < 1 || devices % line != 0)
      section.reject("atoms", fmt::format("[{}] is {} a stage, which do not divide the run's {}", fmt::join(atoms, ", "),
                                          number_of(line, "device"), devices),
                     "factors of a stage's devices, the outermost first: [[2, 2, 2]] of 8");
  space.pins = read_pins(section, dimensions, model);
  space.start = start();
  objective();  // a mistake there is told now
  return space;
}

std::optional<Plan> Planning::start() const {
  const Options& section = run.search.algorithm.options;
  const auto written = section.find<std::string>("start_from");
  if (!written) return std::nullopt;
  const std::filesystem::path path = path_beside(section.mark("start_from"), *written);
  if (!std::filesystem::exists(path))
    section.reject("start_from", fmt::format("there is no file '{}'", path.string()), "a plan of the same model");
  return read_plan(open_plan(path), dimensions, static_cast<int>(model.layers.size()));
}

Problem Planning::problem() const {
  const SpaceOptions options = space();
  Problem problem = make_problem(model, dimensions, options);
  if (options.start)
    if (const std::string reason = objection(problem, *options.start, {}); !reason.empty())
      run.search.algorithm.options.reject("start_from", fmt::format("the plan is not in the space: {}", reason),
                                          "a search begins with a plan that it could find itself");
  return problem;
}

}  // namespace trellis::host
