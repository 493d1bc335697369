// Runs a compiled plan on one rank: the stage's instruction lists, its schedule's actions, and the update.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/program.h"
#include "trellis/plan/schedule.h"
#include "trellis/plan/weights.h"
#include "trellis/run/comm.h"
#include "trellis/run/data_source.h"
#include "trellis/run/kernel.h"

namespace trellis {

class WeightReader;  // plan/weights/weight_reader.h

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double clip = 1.0;                 // global gradient norm; 0 = no clipping
};

struct ExecutorOptions {
  OptimizerOptions optimizer;
  std::uint64_t seed = 0;            // initial weights and dropout
  std::string device = "cpu";        // cpu | cuda
  std::shared_ptr<const WeightReader> weights;  // instead of initial weights by the seed; null: those
  bool check_collectives = false;    // assert that executed collectives equal the program's, and bytes kept the replayed
};

struct StepResult {
  double loss = 0;                   // of the whole batch, the same on every rank
  double gradient_norm = 0;          // before clipping
};

struct Evaluation {                  // the same on every rank
  double loss = 0;
  // Share of the items that count with no label likelier than theirs. Nothing where the loss has several terms, or its
  // kernel does not know.
  std::optional<double> accuracy;
};

// All ranks construct it together (groups are created). One thread a rank.
class TRELLIS_API Executor {
 public:
  Executor(const CompiledPlan&, const ModelSpec&, const PipelineSchedule&, const KernelLibrary&, const OpLibrary&, CommWorld&,
           ExecutorOptions);
  ~Executor();

  StepResult train_step(const DataSource&, std::int64_t step, double learning_rate);
  // Of the batches of steps [begin, end) as of one: each term is divided by its count in all of them. No dropout, no
  // gradients.
  Evaluation evaluate(const DataSource&, std::int64_t begin, std::int64_t end);

  // Whole, unpadded-by-nobody (global) tensors by full name ("layers.3.attn.q.weight"), gathered to every rank: for
  // tests and export of small models. Collective. Gradients are those of the last step, before clipping.
  std::map<std::string, at::Tensor> parameters();
  std::map<std::string, at::Tensor> gradients();
  // The same one by one, so that no more than one is whole at a time. Collective; the tensor is the visitor's.
  void visit_parameters(const std::function<void(const std::string& full_name, at::Tensor)>& visitor);
  void keep_gradients(bool on);      // so that gradients() finds them after a step
  // Called after each instruction of a pass, on this thread: for measurements.
  void observe(std::function<void(const Instruction&)>);

  const StageProgram& stage() const;
  // What the slots of the last micro-batch held right after its forward, with check_collectives only: what
  // MemoryReplay::kept predicts.
  Bytes kept_bytes() const;
  std::vector<CommRecord> expected_collectives() const;  // of one train_step on this rank, from the program

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trellis
