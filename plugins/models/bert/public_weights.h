// Public weights of family bert: folders of BERT, with the head that they have or a new one.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "trellis/plan/weights.h"

namespace trellis::bert {

class BertWeights final : public PublicWeights {
 public:
  std::vector<std::string> model_types() const override { return {"bert"}; }
  CanonicalName canonical(std::string_view tensor) const override;
  ConfigReading read_config(const Options& config, const WeightTensors&) const override;
  std::string write_config(const Options&) const override;
  WeightMap map(const Options&, const ModelSpec&) const override;
};

}  // namespace trellis::bert
