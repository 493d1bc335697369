// Text as it must be before anybody parses it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

// Throws Error at the first byte that is not UTF-8 or is a control character other than tab and line ends.
void check_text(std::string_view text, const std::string& name);

// The bytes before the first one that does not belong to a character in UTF-8: all of them where there is none.
TRELLIS_API std::size_t valid_utf8(std::string_view text);

// At most `length` bytes and then "...", never cutting a character in two; line ends become spaces.
std::string shortened(std::string_view text, std::size_t length);

}  // namespace trellis
