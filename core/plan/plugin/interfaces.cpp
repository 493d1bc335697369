// Out of line, so that each interface class has one type information object for the core and all plugins.
#include "trellis/plan/front_search.h"
#include "trellis/plan/plugin.h"
#include "trellis/plan/search.h"

namespace trellis {

Registrar::~Registrar() = default;
SearchAlgorithm::~SearchAlgorithm() = default;
const void* SearchAlgorithm::extension(std::string_view) const { return nullptr; }
CostOracle::~CostOracle() = default;
FrontSearch::~FrontSearch() = default;
StandaloneSearch::~StandaloneSearch() = default;
PlanFormat::~PlanFormat() = default;

}  // namespace trellis
