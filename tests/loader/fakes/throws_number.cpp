#include "nothing.h"

TRELLIS_PLUGIN("throws_number", "1.0.0") {
  registrar.add<Nothing>();
  throw 42;
}
