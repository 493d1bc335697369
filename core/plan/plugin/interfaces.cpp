// Out of line, so that each interface class has one type information object for the core and all plugins.
#include "trellis/plan/plugin.h"
#include "trellis/plan/search.h"

namespace trellis {

Registrar::~Registrar() = default;
SearchAlgorithm::~SearchAlgorithm() = default;
CostOracle::~CostOracle() = default;

}  // namespace trellis
