#include "nothing.h"

extern "C" __attribute__((used, visibility("default"), section("trellis_abi"))) const char TRELLIS_FINGERPRINT = 1;
