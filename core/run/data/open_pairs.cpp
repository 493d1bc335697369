#include <fmt/format.h>

#include <cmath>

#include "plan/base/words.h"
#include "run/data/open.h"
#include "run/data/pair_source.h"
#include "run/data/token_stream.h"

namespace trellis::data {
namespace {

// Of tokens, and, where the model tells it, of whether the second sentence follows.
Baseline baseline_of(const std::vector<Sentences>& training, const OpenRequest& request) {
  std::vector<TokenRow> rows;
  for (const Sentences& text : training) rows.push_back({text.tokens, text.weight, text.name});
  const double tokens = unigram_entropy(rows);
  if (!fields_of(request.model, request.ops).contains("next_sentence_labels")) return {tokens, "text", "token", "unigram entropy"};
  return {tokens + std::log(2), "text", "token and pair", "entropy of frequencies"};
}

void check_model(const OpenRequest& request) {
  if (request.model.sequence < 5)
    fail("sequences of {} tokens hold no pair between its three borders", request.model.sequence);
  const auto fields = fields_of(request.model, request.ops);
  const auto segments = fields.find("segments");
  if (segments != fields.end() && segments->second.range.values < 2)
    fail("the model knows one kind of segment, and a pair has two");
}

}  // namespace

RunSamples open_sentence_pairs(const OpenRequest& request) {
  const auto& [run, model, ops, batch] = request;
  const auto tokenizer = tokenizer_of(run, model);
  PairOptions options{.sequence = model.sequence,
                      .cls = cls_token(run, model, *tokenizer),
                      .sep = sep_token(run, model, *tokenizer),
                      .masking = {.share = run.data.mask_share,
                                  .mask_id = mask_token(run, model, *tokenizer),
                                  .vocab = tokenizer->vocab(),
                                  .word_parts = run.data.whole_words ? tokenizer->word_parts() : std::vector<WordPart>()},
                      .vocab = model.vocab,
                      .batch = batch,
                      .seed = run.seed};
  std::vector<Sentences> training, held_out;
  std::int64_t sentences = 0, documents = 0, files = 0;
  for (const Sentences& text : read_sentences(run.data, *tokenizer)) {
    auto [rest, kept] = text.split(run.data.held_out);
    training.push_back(std::move(rest)), held_out.push_back(std::move(kept));
    sentences += text.size(), documents += static_cast<std::int64_t>(text.documents.size());
    files += static_cast<std::int64_t>(text.files);
  }
  RunSamples result{.baseline = baseline_of(training, request)};
  result.summary = fmt::format("{} of {} in {}, {:.3g} % of them held out; entropy of frequencies {:.3f} nats",
                               count_of(sentences, "sentences"), number_of(documents, "document"), number_of(files, "file"),
                               100 * run.data.held_out, result.baseline.entropy);
  add_training(result, request, "sentence pairs", [&] {
    check_model(request);
    return std::make_unique<PairSource>(std::move(training), options);
  });
  if (!evaluates(run)) return result;
  options.order = Order::in_turn;
  add_held_out(result, request, "held-out sentence pairs",
               [&] { return std::make_unique<PairSource>(std::move(held_out), options); });
  return result;
}

}  // namespace trellis::data
