#include "nothing.h"

extern "C" __attribute__((used, visibility("default"), section("trellis_abi"))) const char TRELLIS_FINGERPRINT = 1;

extern "C" __attribute__((visibility("default"))) const trellis::PluginInfo* trellis_plugin() {
  static const trellis::PluginInfo info{0, "", "older_abi", "1.0.0", [](trellis::Registrar&) {}};
  return &info;
}
