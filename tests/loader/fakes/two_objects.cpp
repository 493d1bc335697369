#include "nothing.h"

TRELLIS_PLUGIN("two_objects", "1.0.0") {
  registrar.add<Nothing>();
  registrar.add<Nothing>();
}
