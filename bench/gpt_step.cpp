// trellis_bench: training steps of a GPT on random tokens, or of another family on made-up fields, for bench/compare.py
// and its neighbors.
//
// One rank of those that RANK, WORLD_SIZE and TRELLIS_STORE tell of, or the only one. Reads commands from standard
// input, on rank 0, and answers each with one line of JSON:
//
//   export FOLDER   initial weights and tokens, for gpt_pytorch.py --load (format: docs/benchmarks.md)
//   warm N          runs N training steps: the loss of each
//   steps N         runs N training steps: time, processor time and loss of each; received bytes, and those predicted
//   account N PROFILE  N steps: by kind of instruction what it took, and what the profile (a file) says that it takes
//   products N      the matrix products of a step, each alone, medians of N
//   draw N SEED FOLDER  N plans of the whole space, drawn by the seed: FOLDER/plan-000.yaml and so on
//   plan FILE       goes on with this plan, from initial weights
//
// Times of several ranks are those of the slowest.
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/accounts.h"
#include "bench/drawn_plans.h"
#include "bench/products.h"
#include "bench/random_tokens.h"
#include "bench/repeated_batches.h"
#include "bench/socket_bytes.h"
#include "bench/stopwatch.h"
#include "run/memory/guards.h"
#include "run/memory/memory_counter.h"
#include "run/profile/pace.h"
#include "run/verify/synthetic_source.h"
#include "trellis/plan/catalog.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"
#include "trellis/run/executor.h"

namespace trellis::bench {
namespace {

using nlohmann::json;

constexpr std::int64_t kBatches = 8;  // different ones; a longer run starts over
constexpr std::uint64_t kSeed = 1;
constexpr double kLearningRate = 1e-3;

struct Settings {
  std::string model_file = "configs/models/gpt-3.5m.yaml";
  std::vector<std::string> overrides;
  std::int64_t batch = 8;
  std::string strategy = "{}";
  int threads = 1;
};

Settings read_command_line(int argc, char** argv) {
  Settings s;
  CLI::App app("Training steps of a GPT on random tokens, commanded over standard input; see bench/gpt_step.cpp.",
               "trellis_bench");
  app.add_option("--model", s.model_file, "A file with a section 'model'")->capture_default_str();
  app.add_option("--set", s.overrides, "key.path=value, as in a run file; may be repeated")->allow_extra_args(false);
  app.add_option("--batch", s.batch, "Samples of a step, over all ranks")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--strategy", s.strategy, "As parallelism.uniform of a run file, for example 'tp: {degree: 2}'")
      ->capture_default_str();
  app.add_option("--threads", s.threads, "Of each rank")->capture_default_str()->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage));
  }
  return s;
}

// The model, its plan, and all that an executor refers to.
struct Setup {
  explicit Setup(const Settings& settings, CommWorld& comm_world)
      : world(comm_world), dimensions(catalog.dimensions()) {
    const Options file = Options::load_run_file(settings.model_file, settings.overrides);
    options = file.section("model");
    const auto family = catalog.family(options.required<std::string>("use"), options.mark("use"), options.path("use"));
    model = family->describe(options);
    options.finish();
    const Options uniform = Options::from_text(settings.strategy, "--strategy");
    take(uniform_plan(uniform, model, dimensions, world.size(), settings.batch));
  }

  void take(const Plan& plan) {
    compiled = compile(plan, model, dimensions, ops, Dtype::f32);
    schedule = &find_schedule(dimensions, plan.schedule);
    stage = world.rank() / plan.line().size();
  }

  CommWorld& world;
  Catalog catalog;
  Dimensions dimensions;
  OpLibrary ops;
  KernelLibrary kernels;
  Options options = Options::empty();
  ModelSpec model;
  CompiledPlan compiled;
  const PipelineSchedule* schedule = nullptr;
  int stage = 0;
};

struct Steps {
  std::vector<double> wall_ms, cpu_ms, losses, norms;
  std::vector<double> pace_ms;  // before each step, and after the last
};

[[gnu::always_inline]] inline Steps run_steps(Executor& executor, const DataSource& data, std::int64_t first,
                                              int count, const std::function<double()>& pace) {
  Steps result;
  for (int i = 0; i < count; ++i) {
    result.pace_ms.push_back(pace());
    const Stopwatch watch;
    const StepResult step = executor.train_step(data, first + i, kLearningRate);
    result.wall_ms.push_back(watch.wall_ms()), result.cpu_ms.push_back(watch.cpu_ms());
    result.losses.push_back(step.loss), result.norms.push_back(step.gradient_norm);
  }
  result.pace_ms.push_back(pace());
  return result;
}

// A function of its own name, so that callgrind can be told to count here only.
[[gnu::noinline]] Steps measured_steps(Executor& executor, const DataSource& data, std::int64_t first, int count,
                                        const std::function<double()>& pace) {
  return run_steps(executor, data, first, count, pace);
}

class Session {
 public:
  explicit Session(const Settings& settings, CommWorld& world)
      : setup_(settings, world),
        world_(world),
        batch_(settings.batch) {
    if (setup_.options.required<std::string>("use") == "gpt") {
      auto tokens = std::make_unique<RandomTokens>(
          TokenShape{kBatches, batch_, setup_.model.sequence, setup_.model.vocab}, kSeed);
      tokens_ = tokens->tokens();
      data_ = std::move(tokens);
    } else {
      data_ = std::make_unique<RepeatedBatches>(
          std::make_unique<SyntheticSource>(batch_, fields_of(setup_.model, setup_.ops), kSeed), kBatches);
    }
    begin();
  }

  // Of the space of a search over `batch` samples, with all its divisors as micro-batches.
  json draw(int count, std::uint64_t seed, const std::filesystem::path& folder) {
    const std::vector<Plan> plans =
        draw_plans(setup_.model, setup_.dimensions, setup_.ops,
                   {.batch = batch_, .devices = world_.size(), .budget = Bytes(INT64_MAX)}, count, seed);
    json files = json::array();
    if (world_.rank() != 0) return files;
    std::filesystem::create_directories(folder);
    for (const Plan& plan : plans) {
      files.push_back((folder / fmt::format("plan-{:03}.yaml", files.size())).string());
      write_file_atomically(files.back().get<std::string>(), to_yaml(plan));
    }
    return {{"plans", files}};
  }

  json plan(const std::filesystem::path& file) {
    const Plan plan = read_plan(Options::from_file(file), setup_.dimensions, static_cast<int>(setup_.model.layers.size()));
    if (plan.batch != batch_) fail(ExitCode::usage, "{}: the batch is {}, not {}", file.string(), plan.batch, batch_);
    executor_.reset(), memory_.reset();
    setup_.take(plan);
    begin();
    return {{"plan", file.string()}};
  }

  json export_to(const std::filesystem::path& folder) {
    if (!tokens_.defined()) fail(ExitCode::usage, "export: bench/gpt_pytorch.py trains GPTs; this model is another");
    const std::map<std::string, at::Tensor> parameters = executor_->parameters();
    if (world_.rank() != 0) return {};
    std::filesystem::create_directories(folder);
    json index = {{"model", model()}, {"tokens", tokens_.sizes().vec()}};
    std::string weights;
    for (const auto& [name, tensor] : parameters) {
      index["parameters"][name] = {
          {"offset", weights.size() / sizeof(float)}, {"elements", tensor.numel()}, {"shape", tensor.sizes().vec()}};
      weights.append(reinterpret_cast<const char*>(tensor.const_data_ptr<float>()),
                     static_cast<std::size_t>(tensor.numel()) * sizeof(float));
    }
    index["weights"] = weights.size() / sizeof(float);
    write_file_atomically(folder / "weights.f32", weights);
    const auto* tokens = reinterpret_cast<const char*>(tokens_.const_data_ptr<std::int32_t>());
    write_file_atomically(folder / "tokens.i32",
                          {tokens, static_cast<std::size_t>(tokens_.numel()) * sizeof(std::int32_t)});
    write_file_atomically(folder / "index.json", index.dump(1) + "\n");
    return {{"parameters", parameter_elements(setup_.model)}};
  }

  json warm(int count) {
    const CountMemory counting(*memory_, Purpose::transient);
    const Steps s = run_steps(*executor_, *data_, next_, count, [&] { return pace_ms(); });
    next_ += count;
    return {{"losses", s.losses}};
  }

  json steps(int count) {
    Bytes expected{0};
    const std::vector<CommRecord> collectives = executor_->expected_collectives();
    for (const CommRecord& record : collectives) expected.value += record.bytes.value;
    const std::int64_t before = received_bytes();
    Steps s = [&] {
      const CountMemory counting(*memory_, Purpose::transient);
      return measured_steps(*executor_, *data_, next_, count, [&] { return pace_ms(); });
    }();
    const std::int64_t received = received_bytes() - before;
    next_ += count;
    std::vector<double> mean(s.wall_ms.size());
    for (const std::vector<double>& rank : of_all_ranks(s.wall_ms))
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += rank[i] / world_.size();
    json peaks = json::array();
    for (const std::vector<double>& rank : of_all_ranks({static_cast<double>(memory_->peak().total().value)}))
      peaks.push_back(static_cast<std::int64_t>(rank.front()));
    s.wall_ms = slowest(std::move(s.wall_ms)), s.cpu_ms = slowest(std::move(s.cpu_ms));
    return {{"mean_ms", mean},
            {"peak_bytes", peaks},
            {"step_ms", s.wall_ms},
            {"cpu_ms", s.cpu_ms},
            {"pace_ms", s.pace_ms},
            {"losses", s.losses},
            {"gradient_norms", s.norms},
            {"received", received},
            {"program_bytes", expected.value * count},
            {"collectives", collectives.size()}};
  }

  json account(int count, const std::filesystem::path& profile) {
    const Profile measured = read_profile(Options::from_file(profile));
    Cluster here{.devices_per_node = world_.size(), .flops = {{"f32", 1e12}}, .memory_bandwidth = measured.copy_bandwidth};
    const Prices prices(here, measured, {std::shared_ptr<void>(), &setup_.ops});
    Accounts accounts(setup_.compiled, setup_.stage, prices);
    executor_->observe([&](const Instruction& i) { accounts.after(i); });
    std::vector<double> wall;
    for (int i = 0; i < count; ++i) {
      const Stopwatch watch;
      accounts.begin_step();
      executor_->train_step(*data_, next_ + i, kLearningRate);
      accounts.end_step();
      wall.push_back(watch.wall_ms());
    }
    executor_->observe({});
    next_ += count;
    return {{"step_ms", wall}, {"accounts", accounts.of_step()}};
  }

  json products(int repeats) {
    json list = json::array();
    double wall = 0, cpu = 0, flops = 0;
    for (const ProductTimer::Time& t : ProductTimer(products_of(setup_.compiled, setup_.stage)).measure(repeats)) {
      wall += t.wall_ms * t.count, cpu += t.cpu_ms * t.count, flops += t.product.flops() * t.count;
      list.push_back({{"product", to_string(t.product)},
                      {"count", t.count},
                      {"ms", t.wall_ms},
                      {"cpu_ms", t.cpu_ms},
                      {"gflops", t.product.flops() / t.wall_ms * 1e-6}});
    }
    const std::vector<double> sums = slowest({wall, cpu});
    return {{"ms", sums[0]}, {"cpu_ms", sums[1]}, {"flops", flops}, {"products", list}};
  }

 private:
  json model() const {
    json sizes;
    for (const char* key : {"hidden", "layers", "heads"}) sizes[key] = setup_.options.required<std::int64_t>(key);
    sizes["vocab"] = setup_.model.vocab, sizes["sequence"] = setup_.model.sequence, sizes["batch"] = batch_;
    return sizes;
  }

  void begin() {
    memory_ = std::make_unique<MemoryCounter>();
    const CountMemory counting(*memory_, Purpose::transient);
    executor_ = std::make_unique<Executor>(setup_.compiled, setup_.model, *setup_.schedule, setup_.kernels, setup_.ops,
                                           world_, ExecutorOptions{.optimizer = {}, .seed = kSeed});
    next_ = 0;
  }

  // The mean of all ranks, which work at once.
  double pace_ms() {
    if (world_.size() > 1) world_.world().barrier();
    double sum = 0;
    for (const std::vector<double>& rank : of_all_ranks({1e3 * pace_.seconds()})) sum += rank.front() / world_.size();
    return sum;
  }

  std::vector<std::vector<double>> of_all_ranks(const std::vector<double>& mine) {
    if (world_.size() == 1 || mine.empty()) return {mine};
    const at::Tensor in = at::tensor(mine, at::TensorOptions(at::kDouble));
    const at::Tensor all = at::empty({world_.size() * in.numel()}, in.options());
    world_.world().all_gather(all, in)->wait();
    std::vector<std::vector<double>> ranks;
    const double* values = all.const_data_ptr<double>();
    for (int r = 0; r < world_.size(); ++r, values += mine.size()) ranks.emplace_back(values, values + mine.size());
    return ranks;
  }

  std::vector<double> slowest(std::vector<double> mine) {
    for (const std::vector<double>& rank : of_all_ranks(mine))
      for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = std::max(mine[i], rank[i]);
    return mine;
  }

  Setup setup_;
  CommWorld& world_;
  std::int64_t batch_;
  at::Tensor tokens_;  // of a GPT; other families have made-up fields
  std::unique_ptr<DataSource> data_;
  std::unique_ptr<MemoryCounter> memory_;  // of the executor, without tokens and commands
  std::unique_ptr<Executor> executor_;
  std::int64_t next_ = 0;
  profile::Pace pace_;
};

// The next command, on every rank; nothing at the end of the input.
std::string next_command(CommWorld& world) {
  std::string line;
  if (world.rank() == 0) std::getline(std::cin, line);
  if (world.size() == 1) return line;
  constexpr std::int64_t kLongest = 4096;
  at::Tensor text = at::zeros({kLongest}, at::TensorOptions(at::kByte));
  if (line.size() >= kLongest)
    fail(ExitCode::usage, "a command has {} characters; expected fewer than {}", line.size(), kLongest);
  std::copy(line.begin(), line.end(), text.mutable_data_ptr<std::uint8_t>());
  world.world().broadcast(text, 0)->wait();
  return reinterpret_cast<const char*>(text.const_data_ptr<std::uint8_t>());
}

json obey(Session& session, const std::string& line) {
  std::istringstream words(line);
  std::string verb, argument;
  words >> verb >> std::ws;
  std::getline(words, argument);
  if (verb == "export") return session.export_to(argument);
  if (verb == "plan") return session.plan(argument);
  if (verb == "draw") {
    std::istringstream rest(argument);
    int plans = 0;
    std::uint64_t seed = 0;
    std::string folder;
    if (!(rest >> plans >> seed >> folder) || plans < 1) fail(ExitCode::usage, "'{}': expected draw N SEED FOLDER", line);
    return session.draw(plans, seed, folder);
  }
  if (verb == "account") {
    std::istringstream rest(argument);
    int steps = 0;
    std::string profile;
    if (!(rest >> steps >> profile) || steps < 1) fail(ExitCode::usage, "'{}': expected account N PROFILE", line);
    return session.account(steps, profile);
  }
  const int count = std::atoi(argument.c_str());
  if (count < 1) fail(ExitCode::usage, "'{}': expected a number of at least 1", line);
  if (verb == "warm") return session.warm(count);
  if (verb == "steps") return session.steps(count);
  if (verb == "products") return session.products(count);
  fail(ExitCode::usage, "'{}': expected export FOLDER, draw N SEED FOLDER, plan FILE, warm N, steps N, account N PROFILE or products N", line);
}

void run(const Settings& settings) {
  prepare_process({.threads = settings.threads});
  const std::unique_ptr<CommWorld> world = connect_from_environment({});
  {
    Session session(settings, *world);
    for (std::string line = next_command(*world); !line.empty(); line = next_command(*world)) {
      const json answer = obey(session, line);
      if (world->rank() == 0) std::cout << answer.dump() << std::endl;
    }
  }
  world->shutdown();
}

}  // namespace
}  // namespace trellis::bench

int main(int argc, char** argv) {
  try {
    trellis::bench::run(trellis::bench::read_command_line(argc, argv));
    return 0;
  } catch (const trellis::Error& error) {
    std::cerr << "trellis_bench: " << error.what() << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "trellis_bench: " << error.what() << "\n";
    return 1;
  }
}
