#include "nothing.h"

TRELLIS_PLUGIN("good", "1.0.0") { registrar.add<Nothing>(); }
