// Visibility of what the core libraries offer to plugins and to each other. Everything else is compiled hidden.
#pragma once

#define TRELLIS_API __attribute__((visibility("default")))
