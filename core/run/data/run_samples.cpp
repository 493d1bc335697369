#include "run/data/run_samples.h"

#include <fmt/format.h>

#include "plan/base/words.h"
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

}  // namespace

RunSamples open_samples(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch) {
  return open_text(run, model, ops, batch);
}

}  // namespace trellis::data
