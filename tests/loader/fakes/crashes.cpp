#include <csignal>

#include "nothing.h"

TRELLIS_PLUGIN("crashes", "1.0.0") {
  registrar.add<Nothing>();
  std::raise(SIGSEGV);
}
