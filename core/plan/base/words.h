// Counts as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

// "1 stage", "4 stages", "2 micro-batches".
TRELLIS_API std::string number_of(std::int64_t n, std::string_view noun);

// "a token", "an image".
TRELLIS_API std::string a(std::string_view noun);

// "1.23 M parameters"
TRELLIS_API std::string count_of(std::int64_t n, std::string_view noun);

}  // namespace trellis
