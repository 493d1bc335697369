// config.json of BERT: what its keys mean, and what is written back.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "public_weights.h"
#include "trellis/plan/error.h"
#include "trellis/plan/public_config.h"

namespace trellis::bert {
namespace {

using namespace public_config;
using Json = nlohmann::ordered_json;

constexpr const char* kTable = "bert.embeddings.word_embeddings.weight";

const std::map<std::string, std::string>& tasks() {
  static const std::map<std::string, std::string> tasks = {{"BertForMaskedLM", "masked_lm"},
                                                           {"BertForPreTraining", "pretraining"},
                                                           {"BertForSequenceClassification", "classification"}};
  return tasks;
}

std::string architecture_of(const std::string& task) {
  for (const auto& [name, known] : tasks())
    if (known == task) return name;
  fail(ExitCode::failure, "bert: unknown task '{}'", task);
}

// The head that config.json names must be there; where it names none, the tensors tell.
std::string read_task(const Options& config, const WeightTensors& tensors, std::vector<std::string>& notes) {
  const std::string name = architecture(
      config, {"BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification", "BertModel"});
  const bool words = tensors.has("cls.predictions.transform.dense.weight");
  const bool followers = tensors.has("cls.seq_relationship.weight"), classes = tensors.has("classifier.weight");
  if (const auto task = tasks().find(name); task != tasks().end()) {
    const bool there = task->second == "classification" ? classes : words && (task->second == "masked_lm" || followers);
    if (!there)
      config.reject("architectures", fmt::format("it says {}, and the tensors have no such head", name),
                    "BertModel stands for an encoder alone, which gets a new head");
    return task->second;
  }
  if (classes) return "classification";
  if (words) return followers ? "pretraining" : "masked_lm";
  notes.push_back("an encoder alone: task is classification; masked_lm and pretraining would get a new head as well");
  return "classification";
}

std::string read_activation(const Options& config) {
  const std::string name = word(config, "hidden_act", "gelu", {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"});
  return name == "gelu" ? "gelu_exact" : name == "relu" ? name : "gelu";
}

// Settings that say nothing about these heads.
void ignore_unused(const Options& config) {
  for (const char* key : {"directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                          "pooler_size_per_head", "pooler_type", "output_past", "classifier_dropout"})
    config.ignore(key);
}

}  // namespace

ConfigReading BertWeights::read_config(const Options& config, const WeightTensors& tensors) const {
  ConfigReading reading;
  BertOptions o = BertOptions::read(Options::empty());
  o.task = read_task(config, tensors, reading.notes);
  o.vocab = size(config, "vocab_size");
  o.hidden = size(config, "hidden_size");
  o.layers = size(config, "num_hidden_layers", kMostLayers);
  o.heads = size(config, "num_attention_heads", kMostHeads);
  if (o.hidden % o.heads != 0)
    config.reject("num_attention_heads", fmt::format("{} heads do not divide hidden_size {}", o.heads, o.hidden));
  o.head_dim = o.hidden / o.heads;
  o.ffn = size(config, "intermediate_size");
  o.sequence = o.max_positions = size_or(config, "max_position_embeddings", 512, kMostPositions);
  o.segments = size_or(config, "type_vocab_size", 2);
  o.activation = read_activation(config);
  o.dropout = probability(config, "hidden_dropout_prob", 0.1);
  o.attention_dropout = probability(config, "attention_probs_dropout_prob", 0.1);
  o.norm_eps = positive(config, "layer_norm_eps", 1e-12);
  o.init_std = positive(config, "initializer_range", 0.02);
  require(config, "is_decoder", false);
  require(config, "add_cross_attention", false);
  word(config, "position_embedding_type", "absolute", {"absolute"});
  const bool said = config.get("tie_word_embeddings", true);
  o.tied = o.task == "classification" ? said : tied(said, "cls.predictions.decoder.weight", kTable, tensors, reading.notes);
  if (o.task == "classification") {
    if (config.get("classifier_dropout", o.dropout) != o.dropout)
      config.reject("classifier_dropout", "a share of its own is not supported",
                    fmt::format("supported: that of hidden_dropout_prob, {}", o.dropout));
    o.classes = classes(config, "classifier.weight", tensors);
  }
  ignore_unused(config);
  o.pad_token = pad_token(config, o.vocab, 0);
  reading.options = o.written();
  return reading;
}

std::string BertWeights::write_config(const Options& options) const {
  const BertOptions o = BertOptions::read(options);
  if (o.head_dim * o.heads != o.hidden)
    throw Error(ExitCode::unsupported, "no public model type of family bert has heads whose sizes do not add up to hidden");
  Json config = {{"architectures", {architecture_of(o.task)}},
                 {"model_type", "bert"},
                 {"vocab_size", o.vocab},
                 {"hidden_size", o.hidden},
                 {"num_hidden_layers", o.layers},
                 {"num_attention_heads", o.heads},
                 {"intermediate_size", o.ffn},
                 {"hidden_act", o.activation == "gelu_exact" ? "gelu" : o.activation == "gelu" ? "gelu_new" : "relu"},
                 {"hidden_dropout_prob", o.dropout},
                 {"attention_probs_dropout_prob", o.attention_dropout},
                 {"max_position_embeddings", o.max_positions},
                 {"type_vocab_size", o.segments},
                 {"layer_norm_eps", o.norm_eps},
                 {"initializer_range", o.init_std},
                 {"pad_token_id", o.pad_token},
                 {"tie_word_embeddings", o.tied}};
  if (o.task == "classification") add_labels(config, o.classes);
  return config.dump(2) + "\n";
}

}  // namespace trellis::bert
