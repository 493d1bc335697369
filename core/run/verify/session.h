// One call of `trellis verify`: a model, its plans one after the other, and the verdict on each.
#pragma once

#include <memory>
#include <string>

#include "run/verify/request.h"
#include "run/verify/verify.h"

namespace trellis {

class CommWorld;

// What `--json` gets.
struct VerifySummary {
  int plans = 0, failures = 0;
  double worst_relative_error = 0;
  std::string worst_where;
  double worst_memory_error = 0;
  std::string worst_memory_where;
  bool collectives_equal = true;
  std::map<std::string, int> dimensions;  // in how many plans some layer had it on
};

class TRELLIS_API VerifySession {
 public:
  // `world`: of ranks that are processes; none where ranks are threads of this one.
  VerifySession(const VerifyRequest&, CommWorld* world);
  VerifySession(const VerifySession&) = delete;
  VerifySession& operator=(const VerifySession&) = delete;

  VerifySummary run();

 private:
  bool tells() const { return !world_ || world_->rank() == 0; }
  void introduce() const;
  void judge(const PlanCheck&, const std::string& name);
  std::string fault(const PlanCheck&) const;   // empty where there is none
  void conclude() const;
  std::string json() const;

  const VerifyRequest& request_;
  CommWorld* world_;
  Dtype dtype_;
  Dimensions dimensions_;
  OpLibrary ops_;
  KernelLibrary kernels_;         // for the CPU
  std::optional<KernelLibrary> device_kernels_;   // where the run's device is another one
  std::optional<Plan> given_;
  ModelSpec model_;
  VerifyOptions options_;
  std::unique_ptr<Verifier> verifier_;
  VerifySummary summary_;
};

// The layers of `model` at the sizes of `small`, which has at least one layer of each type: a plan of the one fits the
// other.
TRELLIS_API ModelSpec with_sizes_of(const ModelSpec& model, const ModelSpec& small);

}  // namespace trellis
