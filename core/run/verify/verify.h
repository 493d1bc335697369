// The equivalence gate: a plan, any plan, trains like one device (DESIGN section 10).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/plan_file.h"
#include "trellis/run/executor.h"

namespace trellis {

struct VerifyOptions {
  Dtype dtype = Dtype::f64;
  int steps = 3;            // at least 2: memory is measured in the second, when all buffers exist
  std::uint64_t seed = 1;   // of weights, data and dropout
  bool in_memory = true;    // thread ranks over memory, else over Gloo
  bool evaluate = true;     // before the first step and after the last
  std::string device = "cpu";                       // of what is checked; the one rank that it is held against is on the CPU
  const KernelLibrary* device_kernels = nullptr;    // for `device`; null: those passed beside the options

  // The largest error that passes.
  double gate() const { return dtype == Dtype::f64 ? 1e-9 : dtype == Dtype::f32 ? 1e-4 : 3e-2; }
  // Adam divides by the root of the second moment: where that is small, it amplifies the noise of rounding, most of all
  // in gradients that are zero in exact arithmetic. With these it does not.
  double adam_eps() const { return dtype == Dtype::f64 ? 1e-4 : dtype == Dtype::f32 ? 1e-3 : 1e-1; }
  // Share of the model's largest gradient below which a tensor's error counts absolutely: some gradients are zero in
  // exact arithmetic, and what is left of them is noise (the bias of k, which a softmax does not see).
  double floor() const { return dtype == Dtype::f64 ? 1e-6 : dtype == Dtype::f32 ? 1e-3 : 1e-2; }
};

struct RankMemory {
  Bytes measured{0}, predicted{0};   // peak of one rank in one step
};

// What training for a few steps leaves. The same on every rank.
struct TrainedState {
  std::vector<double> losses, norms, evaluations;
  std::map<std::string, at::Tensor> first_gradients, gradients, parameters;   // on the CPU
  std::vector<RankMemory> memory;    // by rank
};

struct PlanCheck {
  Plan plan;
  double worst = 0;           // relative error: max|a - b| / max(max|b|, floor x the model's largest), worst of all
  std::string where;          // "gradient of layers.2.attn.q.weight"
  double memory_error = 0;    // |measured - predicted| / measured of the peak, worst of all ranks
  std::string memory_where;   // "rank 3: 1.2 MiB measured, 1.3 MiB predicted"
  bool collectives_equal = true;
  std::string error;          // why it could not run
};

// What is passed in must outlive it. One thread.
class TRELLIS_API Verifier {
 public:
  Verifier(const ModelSpec&, const Dimensions&, const KernelLibrary&, const OpLibrary&, VerifyOptions);
  ~Verifier();

  // Runs the plan on threads and compares it with one rank on the same batch. What goes wrong is in the result.
  PlanCheck check(const Plan&);
  // The same in a world of ranks that has the plan's size, called by all of them. The result is of use on rank 0.
  PlanCheck check(const Plan&, CommWorld&);

  // This rank's part of training by a plan, in any world.
  TrainedState train(const CompiledPlan&, CommWorld&, bool check_collectives) const;
  const TrainedState& reference(std::int64_t batch);   // one rank, one micro-batch, everything off
  PlanCheck compare(const Plan&, const TrainedState&);
  CompiledPlan compiled(const Plan&) const;

 private:
  TrainedState train_on(const std::string& device, const KernelLibrary&, const CompiledPlan&, CommWorld&,
                        bool check_collectives) const;
  void gather_memory(TrainedState&, const RankMemory&, CommWorld&, const std::string& device) const;
  RankMemory predicted(const CompiledPlan&, int rank) const;

  const ModelSpec& model_;
  const Dimensions& dimensions_;
  const KernelLibrary& kernels_;
  const OpLibrary& ops_;
  VerifyOptions options_;
  std::map<std::int64_t, TrainedState> references_;    // by batch
  struct Ranks;
  std::map<int, std::unique_ptr<Ranks>> ranks_;        // worlds are reused from plan to plan
};

}  // namespace trellis
