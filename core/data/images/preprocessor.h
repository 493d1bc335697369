// preprocessor_config.json, by which the public library prepares images.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/images/steps.h"
#include "trellis/plan/options.h"

namespace trellis::data {

inline constexpr const char* kPreprocessorFile = "preprocessor_config.json";

// The steps that it says, for a model of this side and so many channels; `size` is said instead of its own. Error with the
// place: components that are not known, by name; sizes other than the model's.
TRELLIS_API void read_preprocessor(std::string_view json, const std::string& file, ImageSteps& steps,
                                   std::optional<std::int64_t> size = std::nullopt);

// Of one channel, or as many as there are. Error (by Options::reject) for others.
std::vector<double> by_channel(std::vector<double> values, std::int64_t channels, const Options& options,
                               std::string_view key);

// What reads back to the same steps but for those of training.
TRELLIS_API std::string write_preprocessor(const ImageSteps& steps);

}  // namespace trellis::data
