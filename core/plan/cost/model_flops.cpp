#include <map>

#include "trellis/plan/cost.h"

namespace trellis {

Flops model_flops(const ModelSpec& model, std::int64_t samples, Dtype dtype, const OpLibrary& ops) {
  std::map<const LayerSpec*, Flops> of_a_sample;
  Flops sum{0};
  for (const auto& layer : model.layers) {
    const auto [known, fresh] = of_a_sample.try_emplace(layer.get(), Flops{0});
    if (fresh) {
      const LayerProgram program = derive(layer, Placement{DeviceLine{}}, {.dtype = dtype, .ops = &ops});
      for (const Instructions* list : {&program.forward, &program.backward})
        for (const Instruction& i : *list) known->second += i.flops;
    }
    sum += known->second;
  }
  return sum * samples;
}

}  // namespace trellis
