#include "nothing.h"

TRELLIS_PLUGIN("null_object", "1.0.0") { registrar.add(std::shared_ptr<const trellis::SearchAlgorithm>()); }
