#include "data/samples/suits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/logging.h"

namespace trellis::data {
namespace {

struct Kind {
  std::string_view use;
  std::vector<std::string_view> fields;
  bool labels_samples = false;  // labels are one a sample, not one a token
};

// Those that ask most of a model come first.
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kinds = {
      {"images", {"patches", "positions", "labels"}, true},
      {"span_corruption", {"ids", "mask", "decoder_ids", "labels"}},
      {"labelled_text", {"ids", "positions", "segments", "mask", "labels"}, true},
      {"text", {"ids", "positions", "labels"}},
      {"masked_text", {"ids", "positions", "segments", "mask", "labels"}},
      {"sentence_pairs", {"ids", "positions", "segments", "mask", "labels", "next_sentence_labels"}},
  };
  return kinds;
}

const Kind& kind_of(const std::string& use) {
  const std::string name = use == "indexed" ? "text" : use == "idx" ? "images" : use;
  return *std::ranges::find(kinds(), std::string_view(name), &Kind::use);
}

using Fields = std::map<std::string, FieldSpec>;

bool labels_samples(const Fields& fields) {
  const auto labels = fields.find("labels");
  return labels != fields.end() && labels->second.sequence.empty();
}

bool has_all(const Kind& kind, const Fields& fields) {
  return std::ranges::all_of(fields, [&](const auto& field) { return std::ranges::count(kind.fields, field.first) > 0; });
}

bool is_causal(const ModelSpec& model) {
  return std::ranges::any_of(model.layers, [](const auto& layer) {
    return std::ranges::any_of(layer->ops, [](const Op& op) { return op.kind == "attention" && op.integer("causal") != 0; });
  });
}

[[noreturn]] void refuse(const RunFile& run, const std::string& message, const std::string& hint) {
  const Options section = run.document.section("data");
  throw Error(ExitCode::unsupported, message, hint, section.has("use") ? section.mark("use") : run.data.mark);
}

void warn(const RunFile& run, const ModelSpec& model, const Fields& fields) {
  if (run.data.is_masked() && is_causal(model))
    log().warn("data '{}': attention of this model is causal, so a masked token is told from those before it alone",
               run.data.use);
  if (run.data.use == "sentence_pairs" && !fields.contains("next_sentence_labels"))
    log().warn("data 'sentence_pairs': the model does not read whether the second sentence follows (family bert has "
               "model.task=pretraining)");
}

}  // namespace

std::string suited_data(const ModelSpec& model, const OpLibrary& ops) {
  const Fields fields = fields_of(model, ops);
  for (const Kind& kind : kinds())
    if (kind.labels_samples == labels_samples(fields) && has_all(kind, fields))
      return fmt::format("data.use={} trains this model", kind.use);
  return {};
}

namespace {

// For people who mistook a name, and for those who look for one.
std::string fields_hint(const std::string& wrong) {
  std::vector<std::string> known;
  for (const Kind& kind : kinds())
    for (const std::string_view field : kind.fields)
      if (!std::ranges::count(known, field)) known.emplace_back(field);
  std::ranges::sort(known);
  const std::string meant = suggest(wrong, known);
  return fmt::format("{}data has {}", meant.empty() ? "" : fmt::format("did you mean '{}'? ", meant), fmt::join(known, ", "));
}

std::vector<std::string> names_of_unknown(const ModelSpec& model) {
  std::vector<std::string> names;
  for (const auto& layer : model.layers)
    for (const ValueId id : layer->fields) {
      const std::string& name = layer->values.at(static_cast<std::size_t>(id)).name;
      const bool is_known = std::ranges::any_of(kinds(), [&](const Kind& kind) { return std::ranges::count(kind.fields, name) > 0; });
      if (!is_known && !std::ranges::count(names, name)) names.push_back(name);
    }
  return names;
}

}  // namespace

std::vector<std::string> unknown_fields(const ModelSpec& model) {
  std::vector<std::string> sentences;
  for (const std::string& name : names_of_unknown(model))
    sentences.push_back(fmt::format("no data has the batch field '{}'; {}", name, fields_hint(name)));
  return sentences;
}

void refuse_unknown_fields(const RunFile& run, const ModelSpec& model) {
  const std::vector<std::string> unknown = names_of_unknown(model);
  if (unknown.empty()) return;
  throw Error(ExitCode::unsupported,
              fmt::format("model '{}' reads the batch field '{}', which no data has", run.model.use, unknown.front()),
              fmt::format("{}; without data (data=null) the model can be planned and verified", fields_hint(unknown.front())),
              run.model.options.mark("use"));
}

void check_fields(const RunFile& run, const ModelSpec& model) {
  if (run.document.has("data")) refuse_unknown_fields(run, model);
  for (const std::string& sentence : unknown_fields(model)) log().warn("it cannot be trained: {}", sentence);
}

void check_suits(const RunFile& run, const ModelSpec& model, const OpLibrary& ops) {
  const Kind& kind = kind_of(run.data.use);
  const Fields fields = fields_of(model, ops);
  const std::string suited = suited_data(model, ops);
  if (!kind.labels_samples && labels_samples(fields))
    refuse(run, fmt::format("data '{}' has labels of tokens, and the model reads one for each sample", run.data.use),
           suited);
  if (kind.labels_samples && !labels_samples(fields))
    refuse(run, fmt::format("data '{}' has a label for each text, and the model reads {}", run.data.use,
                            fields.contains("labels") ? "one for each token" : "no labels"),
           fmt::format("{}{}family bert has model.task=classification", suited, suited.empty() ? "" : "; for labels of texts "));
  if (kind.use == "span_corruption" && !fields.contains("decoder_ids"))
    refuse(run, "data 'span_corruption' trains models with an encoder and a decoder, and this one reads no 'decoder_ids'",
           suited);
  for (const auto& [name, field] : fields)
    if (std::ranges::count(kind.fields, name) == 0)
      refuse(run, fmt::format("data '{}' has no field '{}', which the model reads", run.data.use, name),
             suited.empty() ? fmt::format("it has {}", fmt::join(kind.fields, ", ")) : suited);
  warn(run, model, fields);
}

}  // namespace trellis::data
