#include "run/train/trainer.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <system_error>

#include "data/tokenizer/tokenizer.h"
#include "plan/base/words.h"
#include "plan/weights/export.h"
#include "run/comm/cuda_room.h"
#include "run/kernels/matmul.h"
#include "run/train/learning_rate.h"
#include "run/train/result.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// "layers 0-3: tp 2, zero 1; layers 4-5: -", or what all of them have.
std::string strategies_of(const Plan& plan) {
  std::vector<std::string> parts;
  for (std::size_t first = 0; first < plan.layers.size();) {
    std::size_t last = first;
    while (last + 1 < plan.layers.size() && plan.layers[last + 1] == plan.layers[first]) ++last;
    const std::string text = plan.layers[first].empty() ? "data parallel" : to_string(plan.layers[first]);
    if (first == 0 && last + 1 == plan.layers.size()) return text;
    parts.push_back(fmt::format("{}: {}", format(Range{first, last}), text));
    first = last + 1;
  }
  return fmt::format("layers {}", fmt::join(parts, "; "));
}

}  // namespace

Trainer::Trainer(const TrainRequest& request, CommWorld& world)
    : request_(request), world_(world), setup_(request, world), predicted_(setup_.predicted_memory()) {
  if (world.size() > 1) {
    std::vector<int> all(static_cast<std::size_t>(world.size()));
    std::iota(all.begin(), all.end(), 0);
    world.create_groups({all});
  }
  if (!tells()) return;
  check_export(setup_.run, setup_.model, *request.catalog);
  open_folder();
  console_ = std::make_unique<Console>(setup_.steps(), setup_.run.train.log_every, request.quiet);
  introduce();
}

void Trainer::open_folder() {
  const std::filesystem::path& folder = setup_.run.output;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ExitCode::io, "output: cannot make folder '{}': {}", folder.string(), error.message());
  write_file_atomically(folder / "run.yaml", setup_.run.resolved());
  write_file_atomically(folder / "plan.yaml", to_yaml(setup_.compiled.plan));
  metrics_file_ = std::make_unique<LineFile>(folder / "metrics.jsonl");
}

void Trainer::introduce() {
  const Plan& plan = setup_.compiled.plan;
  const data::RunSamples& samples = setup_.samples;
  const auto stages = static_cast<std::int64_t>(plan.stages.size());
  const double epochs =
      static_cast<double>(setup_.steps() * plan.batch) / static_cast<double>(samples.training_samples);
  console_->say(
      fmt::format("model   {}, {}", setup_.model.summary, count_of(parameter_elements(setup_.model), "parameters")));
  console_->say(fmt::format("{:<7} {}", samples.baseline.data, samples.summary));
  console_->say(fmt::format("plan    {} on {}, {}{}: {}", number_of(plan.devices, "rank"),
                            setup_.run.devices.kind, number_of(stages, "stage"),
                            stages == 1 ? "" : ", " + plan.schedule, strategies_of(plan)));
  console_->say(fmt::format(
      "batch   {} samples of {} tokens in {}; {} steps are {:.2f} epochs", plan.batch, setup_.model.sequence,
      plan.micro_batches == 1 ? "one micro-batch" : fmt::format("{} micro-batches", plan.micro_batches), setup_.steps(),
      epochs));
  if (!setup_.run.weights.empty()) console_->say(fmt::format("start   {}", setup_.run.weights.string()));
  console_->say(fmt::format("folder  {}\n", setup_.run.output.string()));
}

void Trainer::run() {
  const CountMemory counting(setup_.memory, Purpose::transient);
  const std::int64_t every = setup_.run.train.evaluate_every;
  for (std::int64_t number = 1; number <= setup_.steps(); ++number) {
    tell(step(number));
    if (number == 1 && tells())
      write_file_atomically(setup_.products_file(), fmt::format("{}\n", fmt::join(setup_.kernels.products().lines(), "\n")));
    if ((every > 0 && number % every == 0) || number == setup_.steps()) evaluate(number);
  }
  leave_weights();
  conclude();
}

// Parameter by parameter, so that rank 0 never holds the model.
void Trainer::leave_weights() {
  const RunFile& run = setup_.run;
  if (run.export_folder.empty()) return;
  std::unique_ptr<WeightExport> target;
  if (tells()) target = begin_export(run, setup_.model, *request_.catalog, setup_.weights.get(), run.train.dtype, setup_.samples.class_names);
  setup_.executor->visit_parameters([&](const std::string& name, const at::Tensor& whole) {
    if (!target) return;
    const at::Tensor here = whole.cpu().contiguous();
    target->write(name, {static_cast<const std::byte*>(here.const_data_ptr()), here.nbytes()});
  });
  if (!target) return;
  // The tokenizer of the run, rather than that of the weights it began with.
  if (!run.data.tokenizer.empty())
    for (const data::TokenizerFile& file : data::tokenizer_files(run.data.tokenizer))
      target->add_file(file.name, read_file(file.path));
  for (const auto& [name, content] : setup_.samples.companions) target->add_file(name, content);
  target->commit();
  console_->say(fmt::format("weights {}", run.export_folder.string()));
}

StepMetrics Trainer::step(std::int64_t number) {
  const std::int64_t index = number - 1;
  StepMetrics metrics;
  metrics.step = number;
  metrics.learning_rate = learning_rate(setup_.run.train, index);
  metrics.tokens = setup_.compiled.plan.batch * setup_.model.sequence;
  const auto start = std::chrono::steady_clock::now();
  const StepResult result = setup_.executor->train_step(*setup_.samples.training, index, metrics.learning_rate);
  if (setup_.run.devices.kind == "cuda") cuda_room().synchronize();  // the update is not waited for
  metrics.seconds = seconds_since(start);
  metrics.loss = result.loss;
  metrics.gradient_norm = result.gradient_norm;
  metrics.memory_peak = measured_peak();
  metrics.memory_predicted = predicted_.at(static_cast<std::size_t>(world_.rank() / setup_.ranks_per_stage()));
  return metrics;
}

void Trainer::tell(const StepMetrics& metrics) {
  history_.steps.push_back(metrics);
  if (tells()) {
    metrics_file_->write(json_line(metrics));
    console_->step(metrics);
  }
  if (!std::isfinite(metrics.loss) || !std::isfinite(metrics.gradient_norm))
    throw Error(
        ExitCode::failure,
        fmt::format("step {}: the loss is {}, the gradient norm {}", metrics.step, metrics.loss, metrics.gradient_norm),
        "a lower learning_rate, a longer warmup or clip: 1 usually help");
}

void Trainer::evaluate(std::int64_t after) {
  if (!setup_.samples.held_out) return;
  const std::int64_t batches = std::min(setup_.run.train.evaluate_batches, setup_.samples.held_out_steps);
  const Evaluation evaluation = setup_.executor->evaluate(*setup_.samples.held_out, 0, batches);
  history_.held_out.push_back({after, evaluation});
  if (!tells()) return;
  metrics_file_->write(json_line(after, evaluation));
  console_->held_out(after, evaluation);
}

Bytes Trainer::measured_peak() const {
  return setup_.run.devices.kind == "cuda" ? cuda_room().memory().peak : setup_.memory.peak().total();
}

std::vector<std::int64_t> Trainer::of_all_ranks(std::int64_t value) {
  if (world_.size() == 1) return {value};
  const auto options = at::TensorOptions(at::kLong).device(setup_.run.devices.kind == "cuda" ? at::kCUDA : at::kCPU);
  const at::Tensor own = at::empty({1}, options).fill_(value), all = at::empty({world_.size()}, options);
  world_.world().all_gather(all, own)->wait();
  const at::Tensor here = all.cpu();
  return {here.data_ptr<std::int64_t>(), here.data_ptr<std::int64_t>() + here.numel()};
}

void Trainer::conclude() {
  const StepMetrics& last = history_.steps.back();
  const std::vector<std::int64_t> measured = of_all_ranks(last.memory_peak.value);
  const std::vector<std::int64_t> predicted = of_all_ranks(last.memory_predicted.value);
  if (!tells()) return;
  const std::string result = result_json(setup_, history_, measured, predicted);
  write_file_atomically(setup_.run.output / "result.json", result);
  if (!request_.json_file.empty()) write_file_atomically(request_.json_file, result);
  std::optional<Evaluation> held_out;
  if (!history_.held_out.empty()) held_out = history_.held_out.back().evaluation;
  console_->say("\n" + verdict(last.loss, held_out, setup_.samples.baseline));
}

}  // namespace trellis::train
