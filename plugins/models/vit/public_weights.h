// Public weights of family vit: folders of ViT.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "trellis/plan/weights.h"

namespace trellis::vit {

class VitWeights final : public PublicWeights {
 public:
  std::vector<std::string> model_types() const override { return {"vit"}; }
  CanonicalName canonical(std::string_view tensor) const override;
  ConfigReading read_config(const Options& config, const WeightTensors&) const override;
  std::string write_config(const Options&) const override;
  WeightMap map(const Options&, const ModelSpec&) const override;
};

}  // namespace trellis::vit
