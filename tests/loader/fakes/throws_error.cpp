#include "nothing.h"

TRELLIS_PLUGIN("throws_error", "1.0.0") {
  registrar.add<Nothing>();
  trellis::fail("its table is missing");
}
