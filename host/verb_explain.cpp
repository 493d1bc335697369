// trellis explain PLAN.yaml --run RUN.yaml: what a plan costs, and because of what.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "host/replayed.h"
#include "host/search_json.h"
#include "host/utilization.h"
#include "host/what_if_report.h"
#include "plan/plan/open_plan.h"
#include "plan/run/compile_file.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

struct ExplainArgs {
  std::filesystem::path plan, run_file, json;
  std::vector<std::string> overrides;
  std::optional<int> layer;
  bool program = false, what_if = false;
};

nlohmann::json to_json(const DetailedCost& cost, const StepReplay& replay, const Prediction& predicted,
                       const Plan& plan) {
  nlohmann::json json;
  json["step_s"] = to_seconds(predicted.cost.step);
  add_intervals(json, predicted);
  for (const Bytes bytes : predicted.cost.memory) json["memory"].push_back(bytes.value);
  json["step_seconds"] = to_seconds(cost.step);
  json["samples_per_second"] = cost.samples_per_second;
  for (std::size_t s = 0; s < cost.stages.size(); ++s) {
    const StageCost& stage = cost.stages[s];
    const UpdateParts& update = replay.stages[s].update;
    nlohmann::json entry = {{"layers", format(Range{plan.stages[s].first, plan.stages[s].last})},
                            {"forward_seconds", to_seconds(stage.forward)},
                            {"backward_seconds", to_seconds(stage.backward)},
                            {"update_seconds", to_seconds(stage.update)},
                            {"reduction_seconds", to_seconds(update.exposed_reduction())},
                            {"optimizer_seconds", to_seconds(update.optimizer)},
                            {"gather_seconds", to_seconds(update.gathering)},
                            {"norm_seconds", to_seconds(update.norm)},
                            {"sharing_seconds", to_seconds(update.sharing)},
                            {"exposed_seconds", to_seconds(stage.exposed)},
                            {"peak_bytes", stage.memory.peak.value},
                            {"peak_at", stage.memory.where}};
    for (const auto& [purpose, bytes] : stage.memory.at_peak)
      entry["bytes"][std::string(name_of(purpose))] = bytes.value;
    json["stages"].push_back(std::move(entry));
  }
  for (const Strategy& strategy : plan.layers) json["layers"].push_back(to_string(strategy));
  return json;
}

nlohmann::json to_json(const std::vector<LayerGroupCost>& groups, const ModelSpec& model, const Plan& plan) {
  nlohmann::json list = nlohmann::json::array();
  for (const LayerGroupCost& g : groups) {
    const auto first = static_cast<std::size_t>(g.first);
    nlohmann::json entry = {{"layers", format(Range{g.first, g.last})},
                            {"type", model.layers[first]->type},
                            {"strategy", to_string(plan.layers[first])},
                            {"stage", g.stage},
                            {"forward_seconds", to_seconds(g.forward)},
                            {"backward_seconds", to_seconds(g.backward)},
                            {"last_backward_longer_seconds", to_seconds(g.surplus)},
                            {"states_bytes", g.states.value},
                            {"communication", nlohmann::json::array()}};
    for (const LayerTraffic& t : g.traffic)
      entry["communication"].push_back({{"what", t.what},
                                        {"because", t.because},
                                        {"ranks", t.ranks},
                                        {"count", t.count},
                                        {"bytes", t.bytes.value},
                                        {"seconds", to_seconds(t.time)}});
    list.push_back(std::move(entry));
  }
  return list;
}

// A plan does not say what its model is. In a run's folder the run file lies beside it.
std::filesystem::path run_file_of(const ExplainArgs& args) {
  if (!args.run_file.empty()) return args.run_file;
  const std::filesystem::path beside = args.plan.parent_path() / "run.yaml";
  if (std::filesystem::exists(beside)) return beside;
  throw Error(ExitCode::usage, fmt::format("{} does not say which model it is for", args.plan.string()),
              "name the run file with --run; a plan in a run's folder finds the run.yaml beside it");
}

ExitCode explain_plan(const Context& context, const ExplainArgs& args) {
  try_writing(args.json);
  refuse_parallelism("a plan file", args.overrides);
  const Options file = open_plan(args.plan);
  Planning p = Planning::load(context, run_file_of(args), args.overrides, devices_of_plan(args.plan));
  const Plan plan = read_plan(file, p.dimensions, static_cast<int>(p.model.layers.size()));
  if (p.run.train.batch && *p.run.train.batch != plan.batch)
    log().warn("the plan's batch is {}, and so are all figures; train.batch is {}", plan.batch, *p.run.train.batch);
  if (const auto model = plan.made_by.find("model"); model != plan.made_by.end() && model->second != fingerprint(p.model))
    log().warn("the plan was made for another model than the run file's");
  const CompiledPlan compiled = compile_file(plan, p.model, p.dimensions, *p.ops, p.run.train.dtype, args.plan);
  const Prediction predicted =
      predict(plan, p.model, p.dimensions, p.ops, p.run.train.dtype, p.cluster, p.profile);
  const PipelineSchedule& schedule = find_schedule(p.dimensions, plan.schedule);
  fmt::print("{}\n{}\n", p.model.summary,
             explain(compiled, p.model, schedule, *p.prices, {.layer = args.layer, .program = args.program}));
  const DetailedCost cost = price_plan(compiled, schedule, *p.prices);
  const StepReplay replay = replay_step(compiled, schedule, *p.prices);
  fmt::print("predicted: {}; this is what searches compare\n", step_text(predicted));
  const Utilization utilization = utilization_of(p, predicted.cost.samples_per_second);
  fmt::print("  {}\n", to_string(utilization));
  fmt::print("replayed: {}\n", beside_prediction(cost.step, predicted.cost.step));
  const Binding binding = binding_of(p, plan, replay);
  if (!args.layer) print(binding);
  nlohmann::json json = to_json(cost, replay, predicted, plan);
  json["groups"] = to_json(layer_group_costs(compiled, p.model, schedule, *p.prices), p.model, plan);
  add_utilization(json, utilization);
  json["binding"] = to_json(binding);
  if (args.what_if) json["what_if"] = what_if_of(p, plan);
  if (!args.json.empty()) write_file_atomically(args.json, json.dump(2) + "\n");
  return ExitCode::success;
}

}  // namespace

void add_explain_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ExplainArgs>();
  CLI::App* verb =
      app.add_subcommand("explain", "Tell what a plan costs in time, memory and communication, and because of what.");
  verb->add_option("plan", args->plan, "The plan file")->required()->type_name("PLAN.yaml");
  verb->add_option("--run", args->run_file, "The run file that the plan is for. Default: run.yaml beside the plan")
      ->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--layer", args->layer, "This layer only")->type_name("N");
  verb->add_flag("--program", args->program, "Print the instruction lists, too");
  verb->add_flag(
      "--what-if", args->what_if,
      "Search for the runner-ups, too: without each strategy, with another global choice or mix of strategies; "
      "and tell what memory is worth. A few seconds a question; search.limit says otherwise. Ctrl-C ends it with what is "
      "answered by then, a second one at once");
  verb->add_option("--json", args->json, "Also write the costs to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return explain_plan(context, *args); }; });
}

}  // namespace trellis::host
