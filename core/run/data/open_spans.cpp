#include <cmath>

#include "plan/base/words.h"
#include "run/data/open.h"
#include "run/data/span_source.h"

namespace trellis::data {
namespace {

const FieldSpec& field_of(const std::map<std::string, FieldSpec>& fields, const std::string& name) {
  const auto found = fields.find(name);
  if (found == fields.end() || found->second.sequence.empty())
    throw Error(ExitCode::unsupported, fmt::format("the model reads no sequence '{}'", name),
                "span_corruption trains models with an encoder (ids) and a decoder (decoder_ids), as family t5 has");
  return found->second;
}

SpanLengths lengths_of(const OpenRequest& request, std::size_t sentinels) {
  const DataSection& data = request.run.data;
  const auto fields = fields_of(request.model, request.ops);
  const std::int64_t encoder = field_of(fields, "ids").positions, decoder = field_of(fields, "decoder_ids").positions;
  const SpanLengths lengths = longest_text(encoder, decoder, data.mask_share, data.mean_span);
  if (lengths.tokens == 0)
    fail("sequences of {} and {} tokens hold no sample: a text of two tokens takes 3 of each", encoder, decoder);
  if (lengths.spans > static_cast<std::int64_t>(sentinels))
    throw Error(ExitCode::bad_input,
                fmt::format("a sample has {} spans, and there are {} sentinels", lengths.spans, sentinels),
                "a shorter sequence, a longer data.mean_span, or more data.sentinels where the tokenizer has none of its own");
  return lengths;
}

// Of the frequencies of labels: tokens of the text, each sentinel and the end once a sample.
double label_entropy(const SpanLengths& lengths, double unigram_entropy) {
  const auto labels = static_cast<double>(lengths.decoder()), told = static_cast<double>(lengths.cut_out);
  return told / labels * (unigram_entropy - std::log(told / labels)) + (labels - told) / labels * std::log(labels);
}

}  // namespace

RunSamples open_span_corruption(const OpenRequest& request) {
  const auto& [run, model, ops, batch] = request;
  const auto tokenizer = tokenizer_of(run, model);
  SpanOptions options{.sentinels = sentinel_tokens(run, model, *tokenizer),
                      .end = end_token(run.data, *tokenizer),
                      .batch = batch,
                      .seed = run.seed,
                      .vocab = model.vocab};
  options.lengths = at_section(run, "span_corruption", [&] { return lengths_of(request, options.sentinels.size()); });
  const SpanLengths& lengths = options.lengths;
  const Text text = Text::read(run.data, tokenizer.get());
  RunSamples result{.baseline = {label_entropy(lengths, text.unigram_entropy), "text", "label", "entropy of frequencies"}};
  result.summary = fmt::format("{}; of {} tokens {} cut out, {} and {} remain to read and to tell", summary_of(text, run),
                               lengths.tokens, number_of(lengths.spans, "span"), lengths.encoder(), lengths.decoder());
  add_training(result, request, "training text", [&] { return std::make_unique<SpanSource>(text.training, options); });
  if (!evaluates(run)) return result;
  options.order = Order::in_turn;
  add_held_out(result, request, "held-out text", [&] { return std::make_unique<SpanSource>(text.held_out, options); });
  return result;
}

}  // namespace trellis::data
