// trellis diff PLAN PLAN: what two plans differ in, without a model.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "host/plan_difference.h"
#include "host/verbs.h"
#include "plan/plan/open_plan.h"
#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"

namespace trellis::host {
namespace {

struct DiffArgs {
  std::filesystem::path from, to, json;
};

std::string arrow(const FromTo& change) { return fmt::format("{} -> {}", change.first, change.second); }

void print(const PlanDifference& difference) {
  if (!difference.any()) fmt::print("the plans are equal\n");
  for (const auto& [what, change] : difference.global) fmt::print("{}: {}\n", what, arrow(change));
  for (const LayersDiffer& group : difference.layers) {
    std::vector<std::string> changes;
    for (const auto& [dimension, change] : group.dimensions) changes.push_back(arrow(change));
    fmt::print("{} {}: {}\n", group.layers.first == group.layers.last ? "layer" : "layers",
               format(Range{group.layers.first, group.layers.last}), fmt::join(changes, ", "));
  }
}

// " (-12.5 %)"
std::string by_how_much(double from, double to) {
  return from > 0 ? fmt::format(" ({:+.1f} %)", 100 * (to / from - 1)) : std::string();
}

// What the plans say they will cost: told also where it is all that differs. Of different models that says nothing.
void print_predictions(const Plan& from, const Plan& to, bool other_model) {
  if (other_model) {
    fmt::print("the plans are for different models: what they predict is not compared\n");
    return;
  }
  if (!from.predicted || !to.predicted) {
    if (from.predicted || to.predicted)
      fmt::print("predicted: only the {} plan says what it will cost\n", from.predicted ? "first" : "second");
    return;
  }
  const Predicted &a = *from.predicted, &b = *to.predicted;
  fmt::print("predicted step: {} -> {}{}\n", a.step, b.step, by_how_much(to_seconds(a.step), to_seconds(b.step)));
  fmt::print("predicted throughput: {:.4g} -> {:.4g} samples/s{}\n", a.samples_per_second, b.samples_per_second,
             by_how_much(a.samples_per_second, b.samples_per_second));
  const auto peaks = [](const Predicted& predicted) {
    std::vector<std::string> texts;
    for (const Bytes bytes : predicted.memory) texts.push_back(format(bytes));
    return fmt::format("{}", fmt::join(texts, ", "));
  };
  fmt::print("predicted memory by stage: {} -> {}\n", peaks(a), peaks(b));
}

nlohmann::json pair_of(const FromTo& change) { return {{"from", change.first}, {"to", change.second}}; }

nlohmann::json to_json(const std::optional<Predicted>& predicted) {
  if (!predicted) return nullptr;
  nlohmann::json json = {{"step_s", to_seconds(predicted->step)},
                         {"throughput", predicted->samples_per_second},
                         {"memory", nlohmann::json::array()}};
  for (const Bytes bytes : predicted->memory) json["memory"].push_back(bytes.value);
  return json;
}

nlohmann::json to_json(const PlanDifference& difference, const Plan& from, const Plan& to) {
  nlohmann::json json = {{"equal", !difference.any()},
                         {"other_model", difference.other_model},
                         {"global", nlohmann::json::object()},
                         {"layers", nlohmann::json::array()},
                         {"predicted", {{"from", to_json(from.predicted)}, {"to", to_json(to.predicted)}}}};
  for (const auto& [what, change] : difference.global) json["global"][what] = pair_of(change);
  for (const LayersDiffer& group : difference.layers) {
    nlohmann::json entry = pair_of(group.strategies);
    entry["layers"] = format(Range{group.layers.first, group.layers.last});
    for (const auto& [dimension, change] : group.dimensions) entry["dimensions"][dimension] = pair_of(change);
    json["layers"].push_back(std::move(entry));
  }
  return json;
}

ExitCode diff(const Context& context, const DiffArgs& args) {
  try_writing(args.json);
  const Dimensions dimensions = context.catalog().dimensions();
  const auto read = [&](const std::filesystem::path& file) {
    return read_plan(open_plan(file), dimensions, layers_of_plan(file));
  };
  const Plan from = read(args.from), to = read(args.to);
  const PlanDifference difference = host::difference(from, to);
  print(difference);
  print_predictions(from, to, difference.other_model);
  if (!args.json.empty()) write_file_atomically(args.json, to_json(difference, from, to).dump(2) + "\n");
  return difference.any() ? ExitCode::failure : ExitCode::success;  // as diff(1): 1 is "they differ"
}

}  // namespace

void add_diff_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<DiffArgs>();
  CLI::App* verb = app.add_subcommand("diff", "Tell what two plans differ in. Exit code 0: nothing, 1: something. Plans "
                                       "that name a plugin's dimension need its folder: --plugins FOLDER.");
  verb->add_option("from", args->from, "A plan")->required()->type_name("PLAN.yaml");
  verb->add_option("to", args->to, "Another one")->required()->type_name("PLAN.yaml");
  verb->add_option("--json", args->json, "Also write the differences to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return diff(context, *args); }; });
}

}  // namespace trellis::host
