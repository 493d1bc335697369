// SHA-256 (FIPS 180-4), so that checking a plugin does not bring in a cryptography library.
#pragma once

#include <string>
#include <string_view>

namespace trellis::plugin {

std::string sha256(std::string_view bytes);  // 64 lower-case hex digits

}  // namespace trellis::plugin
