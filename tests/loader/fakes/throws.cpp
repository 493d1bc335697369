#include <stdexcept>

#include "nothing.h"

TRELLIS_PLUGIN("throws", "1.0.0") {
  registrar.add<Nothing>();
  throw std::runtime_error("no license");
}
