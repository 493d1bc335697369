#include <cstdlib>

#include "nothing.h"

TRELLIS_PLUGIN("crashes", "1.0.0") {
  registrar.add<Nothing>();
  std::abort();
}
