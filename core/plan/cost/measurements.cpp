// Which kernels a profile has to measure so that no time of a search is estimated.
#include <map>
#include <set>

#include "plan/cost/layer_costs.h"
#include "trellis/plan/error.h"

namespace trellis {

std::vector<Measurement> measurements(const Problem& problem, const OpLibrary& ops, Dtype dtype) {
  std::map<std::string, Measurement> found;
  std::set<std::string> seen;  // layer, placement and context: micro-batches of one size come from many choices
  const auto& layers = problem.model->layers;
  for (const GlobalChoice& choice : problem.choices)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (i > 0 && layers[i] == layers[i - 1]) continue;
      for (const Candidate& candidate : problem.candidates(static_cast<int>(i), choice)) {
        const DeriveContext context = context_of(shared_shapes(*problem.model, choice, {&candidate.placement}), ops, dtype);
        if (!seen.insert(std::to_string(i) + candidate.placement.key() + context.key()).second) continue;
        std::shared_ptr<const StageProgram> stage;
        try {
          stage = std::make_shared<const StageProgram>(alone(derive(layers[i], candidate.placement, context)));
        } catch (const Error& error) {
          if (error.code() != ExitCode::infeasible) throw;
          continue;
        }
        for (const auto* list : {&stage->forward, &stage->backward})
          for (const Instruction& instruction : *list)
            if (std::string key = compute_key(*stage, instruction); !key.empty())
              found.try_emplace(key, Measurement{key, stage, instruction, context});
      }
    }
  std::vector<Measurement> result;
  for (auto& [key, measurement] : found) result.push_back(std::move(measurement));
  return result;
}

}  // namespace trellis
