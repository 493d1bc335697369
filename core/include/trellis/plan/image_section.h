// Images of a run file: where they are, and what is done to them before a model sees them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/options.h"

namespace trellis {

enum class ImageResize { exact, shorter, off };  // both sides to the size; the shorter one; images have the model's size
enum class ImageFilter { bilinear, bicubic };    // as wide as the reduction asks for (antialiased)

// Of images that are trained on. Either a window of the resized image with zeros around it, or a part of the original.
struct ImageCrop {
  std::optional<std::int64_t> padding;  // zeros on each side; none: a part of the original
  double least_area = 0.08, most_area = 1;            // of the part, as a share of the image
  double least_ratio = 0.75, most_ratio = 4.0 / 3.0;  // of its width to its height
  bool operator==(const ImageCrop&) const = default;
};

// Paths are from the current folder. What is not written here preprocessor_config.json says, else the defaults.
struct ImageSection {
  std::string folder, held_out_folder;                          // of images: folders of class folders
  std::string images, labels, held_out_images, held_out_labels;  // of idx: files
  std::string preprocessor;                                     // preprocessor_config.json, or its folder

  std::optional<ImageResize> resize;
  std::optional<std::int64_t> size;  // that resize makes; what is more than the model's is cut off around
  std::optional<ImageFilter> resample;
  std::optional<double> rescale;
  std::vector<double> mean, std;     // one, or one a channel; empty: not given

  std::optional<ImageCrop> random_crop;
  bool flip = false;  // half of the images that are trained on, left to right

  Options options = Options::empty();  // the section, for errors with their place

  bool has_held_out_files() const { return !held_out_folder.empty() || !held_out_images.empty(); }
  // Those given, by key.
  TRELLIS_API std::vector<std::pair<std::string, std::string>> paths() const;
};

}  // namespace trellis
