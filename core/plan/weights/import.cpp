#include "plan/weights/import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "plan/plugin/calls.h"
#include "plan/weights/class_names.h"
#include "plan/weights/json.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

// What every config.json of the public library may have and what says nothing about the loss: how it was made and
// saved, kinds of tokens, classes of other heads, defaults of generation.
constexpr std::string_view kUnrelated[] = {
    "_name_or_path",
    "architectures",
    "auto_map",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "use_cache",
    "_attn_implementation_autoset",
    "attn_implementation",
    "gradient_checkpointing",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "sep_token_id",
    "cls_token_id",
    "mask_token_id",
    "unk_token_id",
    "decoder_start_token_id",
    "tokenizer_class",
    "prefix",
    "task_specific_params",
    "problem_type",
    "id2label",
    "label2id",
    "num_labels",
    "finetuning_task",
    "is_decoder",
    "is_encoder_decoder",
    "tie_encoder_decoder",
    "cross_attention_hidden_size",
    "chunk_size_feed_forward",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    "max_length",
    "min_length",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "num_return_sequences",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
};

// Settings that change what is computed, and that nobody here can follow unless they are off.
void refuse_surgery(const Options& config) {
  for (const char* key : {"pruned_heads", "quantization_config"}) {
    if (!config.has(key)) continue;
    if (!config.is_map(key) || !config.section(key).keys().empty()) config.reject(key, "not supported");
    config.ignore(key);
  }
}

std::string indented(const std::string& yaml) {
  std::istringstream lines(yaml);
  std::string result;
  for (std::string line; std::getline(lines, line);) result += fmt::format("  {}\n", line);
  return result;
}

}  // namespace

ConfigReading read_config(const std::string& text, const std::string& name, const PublicWeights& family,
                          const WeightTensors& tensors) {
  const Options config = Options::from_json(text, name).with_owner("a config.json of this model_type");
  refuse_surgery(config);
  ConfigReading reading = family.read_config(config, tensors);
  config.ignore("model_type");  // by which the family was chosen; one of several types has read it
  for (const std::string_view key : kUnrelated) config.ignore(key);
  config.finish();
  return reading;
}

ImportedModel import_model(const std::filesystem::path& path, const Catalog& catalog) {
  WeightFolder folder(path);
  ImportedModel result;
  result.type = folder.model_type();
  std::vector<std::string> known;
  for (const std::string& name : catalog.names(PluginType::models)) {
    const auto family = catalog.family(name);
    const void* extension = family->extension(kPublicWeights);
    if (!extension) continue;
    const auto& weights = *static_cast<const PublicWeights*>(extension);
    const std::vector<std::string> types = weights.model_types();
    known.insert(known.end(), types.begin(), types.end());
    if (std::find(types.begin(), types.end(), result.type) == types.end()) continue;

    CanonicalFolder canonical(std::move(folder), weights);
    ConfigReading reading = plugin::call(PluginType::models, name, [&] {
      return read_config(canonical.folder().config_text(), canonical.folder().config_file().string(), weights, canonical);
    });
    result.family = name;
    result.options = std::move(reading.options);
    result.notes = std::move(reading.notes);
    result.model = plugin::call(PluginType::models, name, [&] { return family->describe(result.options); });
    result.options.finish();
    result.weights =
        std::make_shared<const WeightReader>(std::move(canonical), whole_map(weights, name, result.options, result.model));
    for (std::string& change : changes(*result.weights)) result.notes.push_back(std::move(change));
    return result;
  }
  std::sort(known.begin(), known.end());
  throw Error(ExitCode::unsupported, fmt::format("model_type '{}' is not supported", result.type),
              suggestion_hint(result.type, known, "supported"), {folder.config_file().string()});
}

std::string model_file(const ImportedModel& imported, const std::filesystem::path& weights) {
  std::string path;
  std::filesystem::path full = std::filesystem::absolute(weights).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();  // written with a slash at its end
  for (const char c : full.string()) {
    if (c == '"' || c == '\\') path += '\\';
    path += c;
  }
  std::string notes;
  for (const std::string& note : imported.notes) notes += fmt::format("# {}\n", note);
  return fmt::format("# {}, imported: the base of a run file.\n{}model:\n  use: {}\n{}weights: \"{}\"\n",
                     imported.model.summary, notes, imported.family, indented(imported.options.to_yaml()), path);
}

std::vector<std::string> changes(const WeightReader& weights) {
  std::vector<std::string> result;
  for (const auto& [head, why] : weights.fresh())
    result.push_back(fmt::format("the {} is new and starts from initial weights: {}", head, why));
  for (const auto& [tensor, change] : weights.resampled()) result.push_back(fmt::format("{}: {}", tensor, change));
  return result;
}

namespace {

// model_type of a config.json for the run's model; empty where there is none for it.
std::string type_of(const RunFile& run, const ModelFamily& family) {
  try {
    const std::string config = public_weights(family, run.model.use).write_config(run.model.options);
    return Json::parse(config).at("model_type").get<std::string>();
  } catch (const Error&) {
    return {};
  }
}

// That the folder's model is of another type than the run's; empty where it is not.
std::string other_type(const RunFile& run, const ModelFamily& family, const std::string& misfit) {
  std::string theirs;
  try {
    theirs = WeightFolder(run.weights).model_type();
  } catch (const Error&) {
    return {};  // the misfit is that of the files
  }
  const std::string ours = type_of(run, family);
  const std::vector<std::string> known = public_weights(family, run.model.use).model_types();
  const bool is_known = std::ranges::count(known, theirs) > 0;
  if (theirs == ours || (ours.empty() && is_known)) return {};
  const std::string types =
      fmt::format("'{}' has a model of type '{}', and the run's model, of family {}, {}", run.weights.string(), theirs,
                  run.model.use, ours.empty() ? "is of none" : fmt::format("is of type '{}'", ours));
  return is_known ? fmt::format("{}: {}", types, misfit) : types;  // what lacks of another family's tensors says nothing
}

}  // namespace

std::shared_ptr<const WeightReader> open_weights(const RunFile& run, const ModelSpec& model, const Catalog& catalog) {
  if (run.weights.empty()) return nullptr;
  const auto family = catalog.family(run.model.use, run.model.options.mark("use"), run.model.options.path("use"));
  try {
    return WeightReader::open(run.weights, *family, run.model.options, model);
  } catch (const Error& error) {
    if (error.code() == ExitCode::bad_input)
      if (const std::string reason = other_type(run, *family, error.message()); !reason.empty())
        throw Error(error.code(), "weights: " + reason,
                    fmt::format("'trellis import {} --out MODEL.yaml' writes a model that fits them", run.weights.string()),
                    run.weights_mark);
    const std::string where = error.mark().file.empty() ? "" : format(error.mark()) + ": ";
    const bool is_said = where.empty() && error.message().starts_with("weights: ");
    throw Error(error.code(), fmt::format("{}{}{}", is_said ? "" : "weights: ", where, error.message()), error.hint(),
                run.weights_mark);
  }
}

std::string compare_classes(const RunFile& run, const WeightReader* weights, const std::vector<std::string>& data) {
  if (!weights) return {};
  try {
    return compare_classes(*weights, data);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("weights: {}", error.message()), error.hint(), run.weights_mark);
  }
}

}  // namespace trellis
