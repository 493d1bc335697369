#include "data/images/preprocessor.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "plan/base/words.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

// What a kind of processor does where its file does not say.
struct Kind {
  std::string_view name;
  ImageResize resize;
  std::int64_t size, crop;  // crop 0: none
  ImageFilter filter;
  std::array<double, 3> mean, std;
};
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};
constexpr std::array<Kind, 3> kKinds = {
    {{"ViT", ImageResize::exact, 224, 0, ImageFilter::bilinear, kHalf, kHalf},
     {"DeiT", ImageResize::exact, 256, 224, ImageFilter::bicubic, kHalf, kHalf},
     {"CLIP",
      ImageResize::shorter,
      224,
      224,
      ImageFilter::bicubic,
      {0.48145466, 0.4578275, 0.40821073},
      {0.26862954, 0.26130258, 0.27577711}}}};

const Kind& kind_of(const Options& file) {
  for (const char* key : {"image_processor_type", "feature_extractor_type"}) {
    if (!file.has(key)) continue;
    const std::string name = file.get(key, "");
    for (const Kind& kind : kKinds)
      for (const char* form : {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"})
        if (name == std::string(kind.name) + form) return kind;
    throw Error(ExitCode::unsupported, fmt::format("{}: '{}' is not supported", key, name),
                "supported are those of ViT, DeiT and CLIP", file.mark(key));
  }
  return kKinds.front();
}

std::int64_t pixels(const Options& options, std::string_view key) {
  const auto value = options.required<std::int64_t>(key);
  if (value < 1 || value > 1 << 16) options.reject(key, fmt::format("expected 1 to 65536 pixels, found {}", value));
  return value;
}

// {height, width} of a square, or a number.
std::int64_t square(const Options& file, std::string_view key) {
  if (!file.is_map(key)) return pixels(file, key);
  const Options size = file.section(key);
  const std::int64_t height = pixels(size, "height"), width = pixels(size, "width");
  if (height != width)
    throw Error(ExitCode::unsupported,
                fmt::format("{}: {} x {} is no square, and the model's images are", key, width, height), {},
                file.mark(key));
  return height;
}

void read_resize(const Options& file, const Kind& kind, ImageSteps& steps) {
  steps.resize = kind.resize, steps.size = kind.size, steps.resample = kind.filter;
  if (file.is_map("size") && file.section("size").has("shortest_edge")) {
    steps.resize = ImageResize::shorter;
    steps.size = pixels(file.section("size"), "shortest_edge");
  } else if (file.has("size")) {
    if (file.is_map("size")) steps.resize = ImageResize::exact;
    steps.size = square(file, "size");
  }
  if (const auto filter = file.find<std::int64_t>("resample")) {
    constexpr std::array names = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
    if (*filter != 2 && *filter != 3)
      throw Error(ExitCode::unsupported,
                  fmt::format("resample: {} ({}) is not supported", *filter,
                              *filter >= 0 && *filter < 6 ? names[static_cast<std::size_t>(*filter)] : "unknown"),
                  "supported are 2 (bilinear) and 3 (bicubic)", file.mark("resample"));
    steps.resample = *filter == 2 ? ImageFilter::bilinear : ImageFilter::bicubic;
  }
  if (!file.get("do_resize", true)) steps.resize = ImageResize::off, steps.size = steps.side;
}

void read_crop(const Options& file, const Kind& kind, const std::optional<std::int64_t>& own_size, ImageSteps& steps) {
  const bool crops = file.get("do_center_crop", kind.crop != 0);
  const std::int64_t crop = file.has("crop_size") ? square(file, "crop_size") : kind.crop != 0 ? kind.crop : 224;
  if (own_size) {
    if (steps.resize != ImageResize::off) steps.size = *own_size;
    return;
  }
  const auto differs = [&](std::string_view key, std::int64_t found) {
    file.reject(key, fmt::format("{} pixels, and the model takes {}", found, steps.side),
                fmt::format("say another in the run file: data.size={}", steps.side));
  };
  if (crops && crop != steps.side) differs("crop_size", crop);
  if (crops && steps.size < crop)
    throw Error(ExitCode::unsupported, fmt::format("crop_size: {} pixels are more than size, {}", crop, steps.size), {},
                file.mark("crop_size"));
  if (crops || steps.resize == ImageResize::off) return;
  if (steps.resize == ImageResize::shorter)
    throw Error(ExitCode::unsupported, "size.shortest_edge: without do_center_crop images are no squares", {},
                file.mark("size"));
  if (steps.size != steps.side) differs("size", steps.size);
}

void read_numbers(const Options& file, const Kind& kind, ImageSteps& steps) {
  steps.rescale = file.get("rescale_factor", 1.0 / 255);
  if (!std::isfinite(steps.rescale) || steps.rescale == 0) file.reject("rescale_factor", "expected a factor");
  if (!file.get("do_rescale", true)) steps.rescale = 1;
  const auto values = [&](const char* key, const std::array<double, 3>& otherwise) {
    std::vector<double> standard(otherwise.begin(), otherwise.begin() + steps.channels);
    return by_channel(file.get(key, standard), steps.channels, file, key);
  };
  steps.mean = values("image_mean", kind.mean), steps.std = values("image_std", kind.std);
  for (const double value : steps.mean)
    if (!std::isfinite(value)) file.reject("image_mean", "expected numbers");
  for (const double value : steps.std)
    if (!(value > 0) || !std::isfinite(value))
      file.reject("image_std", fmt::format("expected more than 0, found {}", value));
  if (!file.get("do_normalize", true)) steps.mean.assign(steps.mean.size(), 0), steps.std.assign(steps.std.size(), 1);
}

}  // namespace

std::vector<double> by_channel(std::vector<double> values, std::int64_t channels, const Options& options,
                               std::string_view key) {
  if (values.size() == 1) values.assign(static_cast<std::size_t>(channels), values.front());
  if (static_cast<std::int64_t>(values.size()) != channels)
    options.reject(key, fmt::format("{} numbers, and the model's images have {}", values.size(), number_of(channels, "channel")),
                   "one number, or one a channel");
  return values;
}

void read_preprocessor(std::string_view json, const std::string& name, ImageSteps& steps,
                       std::optional<std::int64_t> own_size) {
  const Options file = Options::from_json(json, name).with_owner("preprocessor_config.json");
  const Kind& kind = kind_of(file);
  // How the public library goes about it, and what holds here anyway.
  for (const char* key : {"image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb", "data_format",
                          "input_data_format", "device", "return_tensors", "default_to_square", "disable_grouping"})
    file.ignore(key);
  read_resize(file, kind, steps);
  read_crop(file, kind, own_size, steps);
  read_numbers(file, kind, steps);
  file.finish();
}

std::string write_preprocessor(const ImageSteps& steps) {
  using Json = nlohmann::ordered_json;
  const auto square = [](std::int64_t side) { return Json{{"height", side}, {"width", side}}; };
  const bool resizes = steps.resize != ImageResize::off;
  const bool crops = resizes && (steps.size > steps.side || steps.resize == ImageResize::shorter);
  Json json;
  json["image_processor_type"] = crops ? "CLIPImageProcessor" : "ViTImageProcessor";  // that of ViT did not crop once
  json["do_resize"] = resizes;
  json["size"] = steps.resize == ImageResize::shorter ? Json{{"shortest_edge", steps.size}} : square(steps.size);
  json["resample"] = steps.resample == ImageFilter::bilinear ? 2 : 3;
  if (crops) {
    json["do_center_crop"] = true;
    json["crop_size"] = square(steps.side);
    json["do_convert_rgb"] = steps.channels == 3;
  }
  json["do_rescale"] = true;
  json["rescale_factor"] = steps.rescale;
  json["do_normalize"] = true;
  json["image_mean"] = steps.mean;
  json["image_std"] = steps.std;
  return json.dump(2) + "\n";
}

}  // namespace trellis::data
