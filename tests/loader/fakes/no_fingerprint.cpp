#include "nothing.h"

extern "C" __attribute__((visibility("default"))) const trellis::PluginInfo* trellis_plugin() { return nullptr; }
