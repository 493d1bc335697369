#include "data/images/image_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/images/formats.h"
#include "data/images/preprocessor.h"
#include "data/placed.h"
#include "plan/base/words.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNamed = 5;  // of images that cannot be used

// The error of what a key of the section names, at the key.
template <class Act>
auto placed(const ImageSection& section, std::string_view key, Act act) {
  return data::placed(fmt::format("data.{}", key), section.options.mark(key), act);
}

std::int64_t root_of(std::int64_t square) {
  const std::int64_t root = std::llround(std::sqrt(static_cast<double>(square)));
  return root * root == square ? root : 0;
}

struct PatchField {
  std::int64_t positions = 0, features = 0;
};

PatchField patch_field(const RunFile& run, const ModelSpec& model) {
  for (const auto& layer : model.layers)
    for (const ValueId id : layer->fields) {
      const Value& value = layer->values.at(static_cast<std::size_t>(id));
      if (value.name == "patches" && value.dims.size() == 3)
        return {layer->dims.at(static_cast<std::size_t>(value.dims[1])).size,
                layer->dims.at(static_cast<std::size_t>(value.dims[2])).size};
    }
  throw Error(ExitCode::unsupported,
              fmt::format("data.use: '{}' trains models that read a field 'patches', and family '{}' does not",
                          run.data.use, model.family),
              "family vit does", run.data.image.options.mark("use"));
}

// Of square images cut into square patches, with a position for the class token.
void read_geometry(const RunFile& run, const ModelSpec& model, ImageSteps& steps) {
  const PatchField field = patch_field(run, model);
  const Options& options = run.model.options;
  steps.channels = options.get<std::int64_t>("channels", root_of(field.features) != 0 ? 1 : 3);
  if (steps.channels != 1 && steps.channels != 3)
    throw Error(ExitCode::unsupported, fmt::format("model.channels: images have 1 channel (gray) or 3 (color), not {}", steps.channels), {},
                options.mark("channels"));
  steps.patch = root_of(field.features / steps.channels);
  steps.side = steps.patch * root_of(field.positions - 1);
  if (steps.side == 0 || steps.positions() != field.positions || steps.features() != field.features)
    fail(options.mark(), "model '{}': {} positions of {} numbers are no square image in patches", model.family,
         field.positions, field.features);
}

void read_section(const ImageSection& section, ImageSteps& steps) {
  if (section.resize) steps.resize = *section.resize;
  if (section.size) steps.size = *section.size;
  if (section.resample) steps.resample = *section.resample;
  if (section.rescale) steps.rescale = *section.rescale;
  if (!section.mean.empty()) steps.mean = by_channel(section.mean, steps.channels, section.options, "mean");
  if (!section.std.empty()) steps.std = by_channel(section.std, steps.channels, section.options, "std");
  steps.random_crop = section.random_crop;
  steps.flip = section.flip;
  if (steps.resize == ImageResize::off) {
    if (section.size) section.options.reject("size", "images are not resized");
    steps.size = steps.side;
  }
  if (steps.size < steps.side)
    section.options.reject("size", fmt::format("{} pixels are fewer than the model takes: {}", steps.size, steps.side));
}

// The file that `preprocessor` names, or the one beside the weights; empty: none.
fs::path preprocessor_file(const RunFile& run) {
  const fs::path named = run.data.image.preprocessor;
  if (named.empty()) {
    const fs::path beside = run.weights / kPreprocessorFile;
    return !run.weights.empty() && fs::is_regular_file(beside) ? beside : fs::path();
  }
  return fs::is_directory(named) ? named / kPreprocessorFile : named;
}

void read_steps(const RunFile& run, const ModelSpec& model, ImageData& data) {
  ImageSteps& steps = data.steps;
  const ImageSection& section = run.data.image;
  read_geometry(run, model, steps);
  steps.size = steps.side;
  steps.mean.assign(static_cast<std::size_t>(steps.channels), 0.5);
  steps.std = steps.mean;
  std::string original;
  if (const fs::path file = preprocessor_file(run); !file.empty()) {
    const auto read = [&] {
      original = read_file(file);
      read_preprocessor(original, file.string(), steps, section.size);
    };
    if (section.preprocessor.empty()) read();
    else placed(section, "preprocessor", read);
  }
  const ImageSteps said = steps;
  read_section(section, steps);
  const bool is_original = !original.empty() && write_preprocessor(said) == write_preprocessor(steps);
  data.preprocessor = is_original ? original : write_preprocessor(steps);
}

struct Problem {
  std::int64_t image;
  std::string reason;
};

std::string size_problem(const ImageHeader& header, const ImageSteps& steps) {
  if (steps.resize == ImageResize::off && (header.width != steps.side || header.height != steps.side))
    return fmt::format("{} x {} pixels, and the model takes {} x {}", header.width, header.height, steps.side, steps.side);
  const std::int64_t longer = std::max(header.width, header.height), shorter = std::min(header.width, header.height);
  if (steps.resize == ImageResize::shorter && longer > kMostPixels / steps.size / steps.size * shorter)
    return fmt::format("{} x {} pixels: too long for its other side", header.width, header.height);
  return {};
}

// What cannot be used, as far as it is to be found at this cost.
std::vector<Problem> problems_of(const ImageSet& set, const ImageSteps& steps) {
  std::vector<Problem> problems;
  const auto is_fine = [&](std::int64_t image, auto act) {
    try {
      std::string problem = act();
      if (!problem.empty()) problems.push_back({image, std::move(problem)});
      return problem.empty();
    } catch (const Error& error) {
      problems.push_back({image, error.message()});
      return false;
    }
  };
  std::vector<std::int64_t> fine;
  std::int64_t bytes = 0;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const bool ok = is_fine(i, [&] {
      const ImageHeader header = set.header(i);
      bytes += 3 * header.width * header.height;
      return size_problem(header, steps);
    });
    if (ok) fine.push_back(i);
  }
  if (bytes <= kTriedBytes)
    for (const std::int64_t i : fine)
      is_fine(i, [&] {
        set.decode(i);
        return std::string();
      });
  std::ranges::sort(problems, {}, &Problem::image);
  return problems;
}

void check_images(const ImageSet& set, const ImageSteps& steps) {
  const std::vector<Problem> problems = problems_of(set, steps);
  if (problems.empty()) return;
  std::string names;
  for (std::size_t i = 0; i < std::min(problems.size(), kMostNamed); ++i)
    names += fmt::format("{}'{}': {}", i == 0 ? "" : "; ", set.name(problems[i].image), problems[i].reason);
  throw Error(ExitCode::bad_input,
              fmt::format("{} of {} cannot be used: {}{}", problems.size(), number_of(set.size(), "image"), names,
                          problems.size() > kMostNamed ? "; ..." : ""),
              "none is left out silently: repair, convert or remove them");
}

void check_names(const RunFile& run, const ModelSpec& model) {
  const auto names = static_cast<std::int64_t>(run.data.labels.size());
  if (names > model.vocab)
    run.data.image.options.reject("labels", fmt::format("{} names, and the model has {} classes", names, model.vocab),
                                  fmt::format("set model.classes={}", names));
}

void check_labels(const ImageSet& set, const ModelSpec& model, const Options& model_options) {
  for (std::int64_t i = 0; i < set.size(); ++i)
    if (set.label(i) >= model.vocab)
      model_options.reject("classes",
                           fmt::format("{} is labelled {} ('{}'), and the model has {} classes, from 0 on", set.name(i), set.label(i),
                                       set.classes().at(static_cast<std::size_t>(set.label(i))), model.vocab),
                           fmt::format("set model.classes={}", set.classes().size()));
}

}  // namespace

ImageData open_image_data(const RunFile& run, const ModelSpec& model) {
  const ImageSection& section = run.data.image;
  ImageData data;
  read_steps(run, model, data);
  check_names(run, model);
  const bool folders = run.data.use == "images";
  const auto checked = [&](std::string_view key, auto open) {
    return placed(section, key, [&] {
      ImageSetPointer set = open();
      check_images(*set, data.steps);
      return set;
    });
  };
  data.training = checked(folders ? "folder" : "images", [&] {
    return folders ? open_class_folders(section.folder, run.data.labels) : open_idx(section.images, section.labels);
  });
  check_labels(*data.training, model, run.model.options);
  if (!section.has_held_out_files()) return data;
  data.held_out = checked(folders ? "held_out_folder" : "held_out_images", [&] {
    return folders ? open_class_folders(section.held_out_folder, data.training->classes())
                   : open_idx(section.held_out_images, section.held_out_labels);
  });
  check_labels(*data.held_out, model, run.model.options);
  return data;
}

}  // namespace trellis::data
