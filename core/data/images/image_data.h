// The images of a run file.
#pragma once

#include <string>

#include "data/images/image_set.h"
#include "data/images/steps.h"
#include "trellis/plan/model.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

struct ImageData {
  ImageSetPointer training, held_out;  // held_out null: a share of `training` is
  ImageSteps steps;
  std::string preprocessor;  // preprocessor_config.json for an export
};

// Sets that have more bytes of pixels are not decoded to see whether they can be: of their images only headers are read.
inline constexpr std::int64_t kTriedBytes = std::int64_t{256} << 20;

// Reads as much as there is to be found wrong. Error at the place in the run file: files that are not there or damaged,
// images that do not decode (the first of them, and how many), more classes than the model has, sizes that do not fit,
// a model that reads no images.
TRELLIS_API ImageData open_image_data(const RunFile& run, const ModelSpec& model);

}  // namespace trellis::data
