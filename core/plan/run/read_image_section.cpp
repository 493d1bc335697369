#include "plan/run/read_image_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/run/values.h"
#include "trellis/plan/error.h"
#include "trellis/plan/run_file.h"

namespace trellis {
namespace {

std::string path(const Options& data, std::string_view key) {
  const std::string written = data.get(key, "");
  if (!data.has(key)) return {};
  if (written.empty()) data.reject(key, "expected a path, found nothing");
  return path_beside(data.mark(key), written).lexically_normal().string();
}

std::string required_path(const Options& data, std::string_view key) {
  data.required<std::string>(key);
  return path(data, key);
}

void read_files(const Options& data, const std::string& use, ImageSection& section) {
  if (use == "images") {
    section.folder = required_path(data, "folder");
    section.held_out_folder = path(data, "held_out_folder");
  } else {
    section.images = required_path(data, "images");
    section.labels = required_path(data, "labels");
    section.held_out_images = path(data, "held_out_images");
    section.held_out_labels = path(data, "held_out_labels");
    if (section.held_out_images.empty() != section.held_out_labels.empty())
      data.reject(section.held_out_images.empty() ? "held_out_labels" : "held_out_images",
                  "held-out images and their labels are two files", "name both: held_out_images and held_out_labels");
  }
  if (section.has_held_out_files() && data.has("held_out"))
    data.reject("held_out", "held-out images are files of their own", "leave one of them out; one of a base goes with held_out: null");
}

std::vector<double> numbers(const Options& data, std::string_view key, bool positive) {
  const auto values = data.find<std::vector<double>>(key);
  if (!values) return {};
  if (values->empty()) data.reject(key, "an empty list", "one number, or one a channel");
  for (const double value : *values)
    if (!std::isfinite(value) || (positive && !(value > 0)))
      data.reject(key, fmt::format("expected {}, found {}", positive ? "more than 0" : "a number", value));
  return *values;
}

// Two numbers above 0 in order.
void read_bounds(const Options& crop, std::string_view key, double& least, double& most) {
  const auto values = crop.find<std::vector<double>>(key);
  if (!values) return;
  const bool fits = values->size() == 2 && (*values)[0] > 0 && (*values)[0] <= (*values)[1] && std::isfinite((*values)[1]);
  if (!fits) crop.reject(key, "expected the least and the most, as in [0.5, 1]");
  least = (*values)[0], most = (*values)[1];
}

std::optional<ImageCrop> read_crop(const Options& data) {
  if (!data.has("random_crop")) return std::nullopt;
  if (!data.is_map("random_crop")) {
    if (data.get("random_crop", true))
      data.reject("random_crop", "it does not say how", "write {padding: 4}, {area: [0.08, 1]} or off");
    return std::nullopt;
  }
  const Options options = data.section("random_crop");
  ImageCrop crop;
  if (const auto padding = options.find<std::int64_t>("padding")) {
    if (*padding < 0 || *padding > 1 << 16)
      options.reject("padding", fmt::format("expected 0 to 65536 pixels, found {}", *padding));
    crop.padding = padding;
    for (const char* key : {"area", "ratio"})
      if (options.has(key)) options.reject(key, "a window of the padded image has the size of the model's");
    return crop;
  }
  read_bounds(options, "area", crop.least_area, crop.most_area);
  if (crop.most_area > 1) options.reject("area", fmt::format("{} is more than the image", crop.most_area));
  read_bounds(options, "ratio", crop.least_ratio, crop.most_ratio);
  return crop;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ImageSection::paths() const {
  std::vector<std::pair<std::string, std::string>> given = {
      {"folder", folder}, {"held_out_folder", held_out_folder}, {"images", images}, {"labels", labels},
      {"held_out_images", held_out_images}, {"held_out_labels", held_out_labels}, {"preprocessor", preprocessor}};
  std::erase_if(given, [](const auto& entry) { return entry.second.empty(); });
  return given;
}

ImageSection read_image_section(const Options& data, const std::string& use) {
  ImageSection section;
  section.options = data;
  read_files(data, use, section);
  section.preprocessor = path(data, "preprocessor");
  if (data.has("resize")) section.resize = static_cast<ImageResize>(values::word(data, "resize", {"exact", "shorter", "off"}));
  if (data.has("resample")) section.resample = static_cast<ImageFilter>(values::word(data, "resample", {"bilinear", "bicubic"}));
  section.size = data.find<std::int64_t>("size");
  if (section.size && (*section.size < 1 || *section.size > 1 << 16))
    data.reject("size", fmt::format("expected 1 to 65536 pixels, found {}", *section.size));
  section.rescale = data.find<double>("rescale");
  if (section.rescale && (!std::isfinite(*section.rescale) || *section.rescale == 0))
    data.reject("rescale", fmt::format("expected a factor, found {}", *section.rescale));
  section.mean = numbers(data, "mean", false);
  section.std = numbers(data, "std", true);
  section.random_crop = read_crop(data);
  section.flip = data.get("flip", false);
  return section;
}

}  // namespace trellis
