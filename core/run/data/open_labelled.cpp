#include <fmt/format.h>

#include <numeric>

#include "plan/base/words.h"
#include "run/data/entropy.h"
#include "run/data/labelled_source.h"
#include "run/data/open.h"
#include "run/data/split.h"

namespace trellis::data {
namespace {

struct Parts {
  std::vector<LabelledSamples> training, held_out;
};

using Texts = std::shared_ptr<const LabelledTexts>;

void split(const Texts& texts, double weight, double share, std::uint64_t seed, Parts& result) {
  Split drawn = Split::draw(texts->size(), share, seed, result.training.size());
  result.training.push_back({texts, std::move(drawn.training), weight});
  if (!drawn.held_out.empty()) result.held_out.push_back({texts, std::move(drawn.held_out), weight});
}

LabelledSamples all_of(const Texts& texts) {
  LabelledSamples all{texts, std::vector<std::int64_t>(texts->labels.size())};
  std::iota(all.chosen.begin(), all.chosen.end(), 0);
  return all;
}

// Of the labels' frequencies, sources by their weights.
double label_entropy(const std::vector<LabelledSamples>& sources, std::int64_t classes) {
  std::vector<double> shares(static_cast<std::size_t>(classes));
  double weights = 0;
  for (const LabelledSamples& source : sources) weights += source.weight;
  for (const LabelledSamples& source : sources)
    for (const std::int64_t i : source.chosen)
      shares[static_cast<std::size_t>(source.texts->labels[static_cast<std::size_t>(i)])] +=
          source.weight / weights / static_cast<double>(source.chosen.size());
  return entropy_of(shares);
}

}  // namespace

RunSamples open_labelled_text(const OpenRequest& request) {
  const auto& [run, model, ops, batch] = request;
  const auto tokenizer = tokenizer_of(run, model);
  const std::int64_t classes = classes_of(model, ops);
  LabelledOptions options{.sequence = model.sequence,
                          .cls = cls_token(run, model, *tokenizer),
                          .sep = sep_token(run, model, *tokenizer),
                          .batch = batch,
                          .seed = run.seed};
  const auto read = [&](const std::vector<std::string>& files, const Mark& mark) -> Texts {
    return std::make_shared<const LabelledTexts>(read_labelled(files, mark, run.data, tokenizer.get(), classes));
  };
  Parts parts;
  std::int64_t texts = 0, held_out = 0, files = 0;
  const bool own_files = !run.data.held_out_files.empty();
  for (const DataPart& part : run.data.parts()) {
    const Texts all = read(part.files, part.mark);
    split(all, part.weight, own_files ? 0 : run.data.held_out, run.seed, parts);
    texts += all->size(), files += static_cast<std::int64_t>(all->files);
  }
  if (own_files) parts.held_out = {all_of(read(run.data.held_out_files, run.data.held_out_mark))};
  for (const LabelledSamples& part : parts.held_out) held_out += static_cast<std::int64_t>(part.chosen.size());
  RunSamples result{.baseline = {label_entropy(parts.training, classes), "texts", "text", "entropy of the labels"}};
  result.class_names = run.data.labels;
  result.summary = fmt::format("{} in {}, {} for evaluation; entropy of the labels {:.3f} nats", count_of(texts, "texts"),
                               number_of(files, "file"), count_of(held_out, "texts"), result.baseline.entropy);
  add_training(result, request, "labelled text", [&] {
    if (model.sequence < 3) fail("sequences of {} tokens hold no text between its two borders", model.sequence);
    return std::make_unique<LabelledSource>(parts.training, options);
  });
  if (run.train.evaluate_batches == 0 || parts.held_out.empty()) return result;
  options.order = Order::in_turn;
  add_held_out(result, request, "held-out labelled text",
               [&] { return std::make_unique<LabelledSource>(parts.held_out, options); });
  return result;
}

}  // namespace trellis::data
