#include "plan/base/words.h"
#include "run/data/open.h"
#include "run/data/text_source.h"

namespace trellis::data {
namespace {

TextOptions options_of(const OpenRequest& request, const Text& text, const Tokenizer* tokenizer) {
  const auto& [run, model, ops, batch] = request;
  TextOptions options{.sequence = model.sequence, .batch = batch, .seed = run.seed, .vocab = model.vocab};
  if (run.data.restart_positions) options.restart_behind = text.end_of_document;
  if (run.data.is_masked())
    options.masking = Masking{.share = run.data.mask_share,
                              .mask_id = mask_token(run, model, *tokenizer),
                              .vocab = tokenizer->vocab(),
                              .word_parts = run.data.whole_words ? tokenizer->word_parts() : std::vector<WordPart>()};
  return options;
}

}  // namespace

RunSamples open_text(const OpenRequest& request) {
  const RunFile& run = request.run;
  const auto tokenizer = tokenizer_of(run, request.model);
  const Text text = Text::read(run.data, tokenizer.get());
  TextOptions options = options_of(request, text, tokenizer.get());
  RunSamples result{.baseline = {text.unigram_entropy, "text", "token", "unigram entropy"}};
  result.summary = fmt::format("{}; unigram entropy {:.3f} nats", summary_of(text, run), text.unigram_entropy);
  add_training(result, request, "training text", [&] { return std::make_unique<TextSource>(text.training, options); });
  if (!evaluates(run)) return result;
  options.order = Order::in_turn;
  add_held_out(result, request, "held-out text", [&] { return std::make_unique<TextSource>(text.held_out, options); });
  return result;
}

}  // namespace trellis::data
