#include <fmt/format.h>

#include "data/images/image_data.h"
#include "data/images/preprocessor.h"
#include "plan/base/words.h"
#include "run/data/image_source.h"
#include "run/data/open.h"

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
  at_section(run, "images to train on", [&] {
    auto source = std::make_unique<ImageSource>(data.training, std::move(split.training), data.steps,
                                                ImageOptions{.batch = request.batch, .seed = run.seed});
    ask_for_all(*source, request);
    result.training_samples = source->samples();
    result.training = std::move(source);
  });
  if ((!data.held_out && run.data.held_out == 0) || run.train.evaluate_batches == 0) return result;
  at_section(run, "held-out images", [&] {
    auto source = std::make_unique<ImageSource>(held_out, std::move(split.held_out), data.steps,
                                                ImageOptions{.batch = request.batch, .seed = run.seed, .order = Order::in_turn});
    result.held_out_steps = source->steps_in_turn();
    result.held_out = std::move(source);
  });
  return result;
}

}  // namespace trellis::data
