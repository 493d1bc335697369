// All that a run needs before its first step, made in the order in which mistakes are cheapest to find: model and plan
// first, then the data, groups and weights last.
#pragma once

#include <memory>
#include <vector>

#include "run/data/run_samples.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/schedule.h"
#include "trellis/run/comm.h"
#include "trellis/run/executor.h"
#include "trellis/run/train.h"

namespace trellis::train {

// The parts point into one another: it stays where it was made.
class TRELLIS_API Setup {
 public:
  // All ranks make it together.
  Setup(const TrainRequest& request, CommWorld& world);
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  const RunFile& run;
  MemoryCounter memory;  // of this rank; on the CPU
  ModelSpec model;
  OpLibrary ops;
  KernelLibrary kernels;
  Dimensions dimensions;
  CompiledPlan compiled;
  const PipelineSchedule* schedule = nullptr;
  data::RunSamples samples;
  std::shared_ptr<const WeightReader> weights;  // to start from; null: initial weights by the seed
  std::unique_ptr<Executor> executor;

  std::int64_t steps() const { return *run.train.steps; }
  int ranks_per_stage() const { return compiled.plan.line().size(); }
  std::filesystem::path products_file() const;  // the choices of earlier runs into this folder, and of this one
  std::vector<Bytes> predicted_memory() const;  // peak of one rank, per stage

 private:
  void plan(const TrainRequest& request, int devices);
  void take_products();
  ExecutorOptions executor_options() const;
};

}  // namespace trellis::train
