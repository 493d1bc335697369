#include <fmt/format.h>

#include "data/images/image_data.h"
#include "data/images/preprocessor.h"
#include "plan/base/words.h"
#include "run/data/image_source.h"
#include "run/data/open.h"
#include "run/data/split.h"

namespace trellis::data {
namespace {

std::string how_many_held_out(const RunFile& run, const ImageData& data) {
  return data.held_out ? fmt::format("{} others held out", data.held_out->size())
                       : fmt::format("{:.3g} % of them held out", 100 * run.data.held_out);
}

}  // namespace

RunSamples open_images(const OpenRequest& request) {
  const RunFile& run = request.run;
  const ImageData data = open_image_data(run, request.model);
  Split split = Split::draw(data.training->size(), data.held_out ? 0 : run.data.held_out, run.seed);
  const ImageSetPointer held_out = data.held_out ? data.held_out : data.training;
  if (data.held_out) split.held_out = Split::draw(held_out->size(), 1, run.seed).held_out;
  RunSamples result{.baseline = {label_entropy(*data.training, split.training), "images", "image", "label entropy"},
                    .companions = {{kPreprocessorFile, data.preprocessor}}};
  if (run.data.use == "images") result.class_names = data.training->classes();
  result.summary = fmt::format("{} of {} in {}, {}; label entropy {:.3f} nats", data.training->size(),
                               number_of(static_cast<std::int64_t>(data.training->classes().size()), "class"),
                               number_of(data.training->files(), "file"), how_many_held_out(run, data),
                               result.baseline.entropy);
  ImageOptions options{.batch = request.batch, .seed = run.seed};
  const auto source = [&](const ImageSetPointer& set, std::vector<std::int64_t>& images) {
    return std::make_unique<ImageSource>(set, std::move(images), data.steps, options);
  };
  add_training(result, request, "images to train on", [&] { return source(data.training, split.training); });
  if ((!data.held_out && run.data.held_out == 0) || run.train.evaluate_batches == 0) return result;
  options.order = Order::in_turn;
  add_held_out(result, request, "held-out images", [&] { return source(held_out, split.held_out); });
  return result;
}

}  // namespace trellis::data
