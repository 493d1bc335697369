#include "run/train/result.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace trellis::train {
namespace {

double median_seconds(const std::vector<StepMetrics>& steps) {
  std::vector<double> seconds;
  for (std::size_t i = steps.size() > 1 ? 1 : 0; i < steps.size(); ++i) seconds.push_back(steps[i].seconds);
  if (seconds.empty()) return 0;
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

std::string result_json(const Setup& setup, const History& history, const std::vector<std::int64_t>& measured,
                        const std::vector<std::int64_t>& predicted) {
  using Json = nlohmann::ordered_json;
  const Plan& plan = setup.compiled.plan;
  const double seconds = median_seconds(history.steps);
  Json losses = Json::array(), held_out = Json::array();
  for (const StepMetrics& step : history.steps) losses.push_back(step.loss);
  for (const auto& [after, evaluation] : history.held_out) {
    held_out.push_back({{"step", after}, {"loss", evaluation.loss}});
    if (evaluation.accuracy) held_out.back()["accuracy"] = *evaluation.accuracy;
  }

  Json result;
  result["run"] = setup.run.name;
  result["model"] = {{"family", setup.model.family},
                     {"summary", setup.model.summary},
                     {"parameters", parameter_elements(setup.model)}};
  result["ranks"] = plan.devices;
  result["device"] = setup.run.devices.kind;
  result["dtype"] = name_of(setup.compiled.context.dtype);
  result["plan"] = std::filesystem::absolute(setup.run.output / "plan.yaml").string();
  result["steps"] = history.steps.size();
  result["batch"] = plan.batch;
  result["final_loss"] = history.steps.empty() ? Json() : Json(history.steps.back().loss);
  result["held_out_loss"] = history.held_out.empty() ? Json() : Json(history.held_out.back().evaluation.loss);
  if (!history.held_out.empty() && history.held_out.back().evaluation.accuracy)
    result["held_out_accuracy"] = *history.held_out.back().evaluation.accuracy;
  result["unigram_entropy"] = setup.samples.baseline.entropy;
  result["step_seconds"] = seconds;
  result["tokens_per_second"] =
      history.steps.empty() || seconds == 0 ? 0 : static_cast<double>(history.steps.back().tokens) / seconds;
  result["memory"] = {{"measured", measured}, {"predicted", predicted}};
  result["losses"] = losses;
  result["held_out_losses"] = held_out;
  return result.dump(2) + "\n";
}

}  // namespace trellis::train
