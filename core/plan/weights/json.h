// JSON, read strictly: UTF-8, no key twice, no deeper than anybody means it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

using Json = nlohmann::ordered_json;

// Throws Error with `name` as the file, and the place in it.
TRELLIS_API Json parse_json(std::string_view text, const std::string& name);

// The same for objects of many keys, whose order says nothing: looking one up in a Json takes as long as there are keys.
TRELLIS_API nlohmann::json parse_large_json(std::string_view text, const std::string& name);

}  // namespace trellis
