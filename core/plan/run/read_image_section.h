// Section `data` of a run file that trains on images.
#pragma once

#include <string>

#include "trellis/plan/image_section.h"

namespace trellis {

// `use` is images or idx. Does not call finish().
ImageSection read_image_section(const Options& data, const std::string& use);

}  // namespace trellis
