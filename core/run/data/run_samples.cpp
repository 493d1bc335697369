#include "run/data/run_samples.h"

#include <fmt/format.h>

#include "data/images/image_data.h"
#include "data/images/preprocessor.h"
#include "plan/base/words.h"
#include "run/data/image_source.h"
#include "run/data/text_source.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

TextOptions options_of(const RunFile& run, const ModelSpec& model, std::int64_t batch, const Text& text,
                       const Tokenizer* tokenizer) {
  TextOptions options{.sequence = model.sequence, .batch = batch, .seed = run.seed, .vocab = model.vocab};
  if (run.data.restart_positions) options.restart_behind = text.end_of_document;
  if (run.data.is_masked())
    options.masking = Masking{.share = run.data.mask_share,
                              .mask_id = mask_token(run, model, *tokenizer),
                              .vocab = tokenizer->vocab()};
  return options;
}

// Error where the source lacks a field of the model, or says that it does not serve it.
void ask_for_all(const DataSource& source, const ModelSpec& model, const OpLibrary& ops) {
  for (const auto& [name, field] : fields_of(model, ops)) source.field({.name = name});
}

template <class Make>
auto placed(const RunFile& run, std::string_view part, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("data: {}: {}", part, error.message()), error.hint(), run.data.mark);
  }
}

RunSamples open_text(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch) {
  const auto tokenizer = tokenizer_of(run, model);
  const Text text = Text::read(run.data, tokenizer.get());
  TextOptions options = options_of(run, model, batch, text, tokenizer.get());
  RunSamples result{.baseline = {text.unigram_entropy, "text", "token", "unigram entropy"}};
  result.summary = fmt::format("{} in {}, {:.3g} % of them held out; unigram entropy {:.3f} nats",
                               count_of(text.tokens, "tokens"), number_of(static_cast<std::int64_t>(text.files), "file"), 100 * run.data.held_out,
                               text.unigram_entropy);
  placed(run, "training text", [&] {
    auto source = std::make_unique<TextSource>(text.training, options);
    ask_for_all(*source, model, ops);
    result.training_samples = source->samples();
    result.training = std::move(source);
  });
  if (run.data.held_out == 0 || run.train.evaluate_batches == 0) return result;
  placed(run, "held-out text", [&] {
    options.order = Order::in_turn;
    auto source = std::make_unique<TextSource>(text.held_out, options);
    result.held_out_steps = source->steps_in_turn();
    result.held_out = std::move(source);
  });
  return result;
}

std::string how_many_held_out(const RunFile& run, const ImageData& data) {
  return data.held_out ? fmt::format("{} others held out", data.held_out->size())
                       : fmt::format("{:.3g} % of them held out", 100 * run.data.held_out);
}

RunSamples open_images(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch) {
  const ImageData data = open_image_data(run, model);
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
  placed(run, "images to train on", [&] {
    auto source = std::make_unique<ImageSource>(data.training, std::move(split.training), data.steps,
                                                ImageOptions{.batch = batch, .seed = run.seed});
    ask_for_all(*source, model, ops);
    result.training_samples = source->samples();
    result.training = std::move(source);
  });
  if ((!data.held_out && run.data.held_out == 0) || run.train.evaluate_batches == 0) return result;
  placed(run, "held-out images", [&] {
    auto source = std::make_unique<ImageSource>(held_out, std::move(split.held_out), data.steps,
                                                ImageOptions{.batch = batch, .seed = run.seed, .order = Order::in_turn});
    result.held_out_steps = source->steps_in_turn();
    result.held_out = std::move(source);
  });
  return result;
}

}  // namespace

RunSamples open_samples(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch) {
  if (run.data.is_images()) return open_images(run, model, ops, batch);
  return open_text(run, model, ops, batch);
}

}  // namespace trellis::data
