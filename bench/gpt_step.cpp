// trellis_bench: training steps of a GPT on random tokens, for bench/compare.py and its neighbors.
//
// One rank of those that RANK, WORLD_SIZE and TRELLIS_STORE tell of, or the only one. Reads commands from standard
// input, on rank 0, and answers each with one line of JSON:
//
//   export FOLDER   initial weights and tokens, for gpt_pytorch.py --load (format: docs/benchmarks.md)
//   warm N          runs N training steps: the loss of each
//   steps N         runs N training steps: time, processor time and loss of each; received bytes, and those predicted
//   products N      the matrix products of a step, each alone, medians of N
//
// Times of several ranks are those of the slowest.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/products.h"
#include "bench/random_tokens.h"
#include "bench/socket_bytes.h"
#include "bench/stopwatch.h"
#include "run/kernels/machine.h"
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
    const Plan plan = uniform_plan(uniform, model, dimensions, world.size(), settings.batch);
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
};

[[gnu::always_inline]] inline Steps run_steps(Executor& executor, const DataSource& data, std::int64_t first,
                                              int count) {
  Steps result;
  for (int i = 0; i < count; ++i) {
    const Stopwatch watch;
    const StepResult step = executor.train_step(data, first + i, kLearningRate);
    result.wall_ms.push_back(watch.wall_ms()), result.cpu_ms.push_back(watch.cpu_ms());
    result.losses.push_back(step.loss), result.norms.push_back(step.gradient_norm);
  }
  return result;
}

// A function of its own name, so that callgrind can be told to count here only.
[[gnu::noinline]] Steps measured_steps(Executor& executor, const DataSource& data, std::int64_t first, int count) {
  return run_steps(executor, data, first, count);
}

class Session {
 public:
  explicit Session(const Settings& settings, CommWorld& world)
      : setup_(settings, world),
        world_(world),
        data_({kBatches, settings.batch, setup_.model.sequence, setup_.model.vocab}, kSeed),
        executor_(setup_.compiled, setup_.model, *setup_.schedule, setup_.kernels, setup_.ops, world,
                  {.optimizer = {}, .seed = kSeed}),
        products_(products_of(setup_.compiled, setup_.stage)) {}

  json export_to(const std::filesystem::path& folder) {
    const std::map<std::string, at::Tensor> parameters = executor_.parameters();
    if (world_.rank() != 0) return {};
    std::filesystem::create_directories(folder);
    json index = {{"model", model()}, {"tokens", data_.tokens().sizes().vec()}};
    std::string weights;
    for (const auto& [name, tensor] : parameters) {
      index["parameters"][name] = {
          {"offset", weights.size() / sizeof(float)}, {"elements", tensor.numel()}, {"shape", tensor.sizes().vec()}};
      weights.append(reinterpret_cast<const char*>(tensor.const_data_ptr<float>()),
                     static_cast<std::size_t>(tensor.numel()) * sizeof(float));
    }
    index["weights"] = weights.size() / sizeof(float);
    write_file_atomically(folder / "weights.f32", weights);
    const auto* tokens = reinterpret_cast<const char*>(data_.tokens().const_data_ptr<std::int32_t>());
    write_file_atomically(folder / "tokens.i32",
                          {tokens, static_cast<std::size_t>(data_.tokens().numel()) * sizeof(std::int32_t)});
    write_file_atomically(folder / "index.json", index.dump(1) + "\n");
    return {{"parameters", parameter_elements(setup_.model)}};
  }

  json warm(int count) {
    const Steps s = run_steps(executor_, data_, next_, count);
    next_ += count;
    return {{"losses", s.losses}};
  }

  json steps(int count) {
    Bytes expected{0};
    const std::vector<CommRecord> collectives = executor_.expected_collectives();
    for (const CommRecord& record : collectives) expected.value += record.bytes.value;
    const std::int64_t before = received_bytes();
    Steps s = measured_steps(executor_, data_, next_, count);
    const std::int64_t received = received_bytes() - before;
    next_ += count;
    s.wall_ms = slowest(std::move(s.wall_ms)), s.cpu_ms = slowest(std::move(s.cpu_ms));
    return {{"step_ms", s.wall_ms},
            {"cpu_ms", s.cpu_ms},
            {"losses", s.losses},
            {"gradient_norms", s.norms},
            {"received", received},
            {"program_bytes", expected.value * count},
            {"collectives", collectives.size()}};
  }

  json products(int repeats) {
    json list = json::array();
    double wall = 0, cpu = 0, flops = 0;
    for (const ProductTimer::Time& t : products_.measure(repeats)) {
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
    sizes["vocab"] = setup_.model.vocab, sizes["sequence"] = setup_.model.sequence, sizes["batch"] = data_.batch();
    return sizes;
  }

  std::vector<double> slowest(std::vector<double> mine) {
    const auto n = static_cast<std::int64_t>(mine.size());
    if (world_.size() == 1 || n == 0) return mine;
    const at::Tensor in = at::tensor(mine, at::TensorOptions(at::kDouble));
    const at::Tensor all = at::empty({world_.size() * n}, in.options());
    world_.world().all_gather(all, in)->wait();
    const double* values = all.const_data_ptr<double>();
    for (std::int64_t i = 0; i < n * world_.size(); ++i) {
      double& slot = mine[static_cast<std::size_t>(i % n)];
      slot = std::max(slot, values[i]);
    }
    return mine;
  }

  Setup setup_;
  CommWorld& world_;
  RandomTokens data_;
  Executor executor_;
  ProductTimer products_;
  std::int64_t next_ = 0;
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
  const int count = std::atoi(argument.c_str());
  if (count < 1) fail(ExitCode::usage, "'{}': expected a number of at least 1", line);
  if (verb == "warm") return session.warm(count);
  if (verb == "steps") return session.steps(count);
  if (verb == "products") return session.products(count);
  fail(ExitCode::usage, "'{}': expected export FOLDER, warm N, steps N or products N", line);
}

void run(const Settings& settings) {
  at::set_num_threads(settings.threads);
  set_flush_denormals(true);
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
