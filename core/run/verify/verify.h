// The equivalence gate: a plan, any plan, trains like one device (DESIGN section 10).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trellis/plan/plan_file.h"
#include "trellis/run/executor.h"

namespace trellis {

struct VerifyOptions {
  Dtype dtype = Dtype::f64;
  int steps = 3;
  std::uint64_t seed = 1;
  double floor = 1e-6;        // share of the model's largest gradient below which a tensor's error counts absolutely
  bool in_memory = true;      // thread ranks over memory, else over Gloo
  double gate() const { return dtype == Dtype::f64 ? 1e-9 : dtype == Dtype::f32 ? 1e-4 : 3e-2; }
};

// What training for a few steps leaves.
struct TrainedState {
  std::vector<double> losses, norms;
  std::map<std::string, at::Tensor> first_gradients, gradients, parameters;
};

struct PlanCheck {
  Plan plan;
  double worst = 0;           // relative error, as docs/derivation.md defines it
  std::string where;          // "gradient of layers.2.attn.q.weight"
  bool collectives_equal = true;
  std::string error;          // why it could not run
};

class TRELLIS_API Verifier {
 public:
  Verifier(const ModelSpec&, const Dimensions&, const PipelineSchedule&, const KernelLibrary&, const OpLibrary&, VerifyOptions);
  ~Verifier();
  // Runs the plan on threads and compares it with one rank on the same batch.
  PlanCheck check(const Plan&);
  // This rank's part of it, in any world.
  TrainedState train(const Plan&, CommWorld&, bool check_collectives) const;
  const TrainedState& reference(std::int64_t batch);   // one rank, one micro-batch, everything off
  PlanCheck compare(const Plan&, const TrainedState&);

 private:
  const ModelSpec& model_;
  const Dimensions& dimensions_;
  const PipelineSchedule& schedule_;
  const KernelLibrary& kernels_;
  const OpLibrary& ops_;
  VerifyOptions options_;
  std::map<std::int64_t, TrainedState> references_;
  struct Ranks;
  std::map<int, std::unique_ptr<Ranks>> ranks_;        // worlds are reused from plan to plan
};

}  // namespace trellis
