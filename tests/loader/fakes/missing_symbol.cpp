// Needs a function of the core that no core has.
#include "nothing.h"

namespace trellis {
TRELLIS_API void function_of_a_later_version();
}

TRELLIS_PLUGIN("missing_symbol", "1.0.0") {
  registrar.add<Nothing>();
  trellis::function_of_a_later_version();
}
