// Public weights of family gpt: folders of GPT-2, LLaMA, Mistral and Qwen2.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "trellis/plan/weights.h"

namespace trellis::gpt {

class GptWeights final : public PublicWeights {
 public:
  std::vector<std::string> model_types() const override { return {"gpt2", "llama", "mistral", "qwen2"}; }
  CanonicalName canonical(std::string_view tensor) const override;
  ConfigReading read_config(const Options& config, const WeightTensors&) const override;
  std::string write_config(const Options&) const override;
  WeightMap map(const Options&, const ModelSpec&) const override;
};

// The model type that computes what these options do. Throws Error (unsupported) with the reason where none does.
std::string model_type_of(const GptOptions&);

}  // namespace trellis::gpt
