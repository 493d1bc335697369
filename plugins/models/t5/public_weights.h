// Public weights of family t5: folders of T5.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "trellis/plan/weights.h"

namespace trellis::t5 {

class T5Weights final : public PublicWeights {
 public:
  std::vector<std::string> model_types() const override { return {"t5"}; }
  CanonicalName canonical(std::string_view tensor) const override;
  ConfigReading read_config(const Options& config, const WeightTensors&) const override;
  std::string write_config(const Options&) const override;
  WeightMap map(const Options&, const ModelSpec&) const override;
};

}  // namespace trellis::t5
