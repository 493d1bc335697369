// config.json of T5 and T5 1.1: what its keys mean, and what is written back.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "public_weights.h"
#include "trellis/plan/error.h"
#include "trellis/plan/public_config.h"

namespace trellis::t5 {
namespace {

using namespace public_config;
using Json = nlohmann::ordered_json;

constexpr const char *kTable = "shared.weight", *kHead = "lm_head.weight";

// feed_forward_proj says it all; newer files also have what follows from it.
std::string read_activation(const Options& config) {
  const std::string name = word(config, "feed_forward_proj", "relu", {"relu", "gated-gelu"});
  const bool gated = name == "gated-gelu";
  require(config, "is_gated_act", gated);
  const std::string inner = gated ? "gelu_new" : "relu";
  word(config, "dense_act_fn", inner, {inner});
  return gated ? "gated_gelu" : "relu";
}

// A head is tied unless the tensors have one that differs from the table. Newer files say in scale_decoder_outputs whether
// its input is scaled; older ones, whose library scales where it ties, in tie_word_embeddings.
void read_head(T5Options& o, const Options& config, const WeightTensors& tensors, std::vector<std::string>& notes) {
  const bool said = config.get("tie_word_embeddings", true);
  o.scaled = config.get("scale_decoder_outputs", said);
  const bool equal = tensors.has(kHead) && tensors.has(kTable) && tensors.equal(kHead, kTable);
  o.tied = !tensors.has(kHead) || tied(said || equal, kHead, kTable, tensors, notes);
}

}  // namespace

ConfigReading T5Weights::read_config(const Options& config, const WeightTensors& tensors) const {
  ConfigReading reading;
  T5Options o = T5Options::read(Options::empty());
  architecture(config, {"T5ForConditionalGeneration", "T5WithLMHeadModel", "T5Model"});
  o.vocab = size(config, "vocab_size");
  o.hidden = size(config, "d_model");
  o.head_dim = size(config, "d_kv", kMostHeads);
  o.heads = size(config, "num_heads", kMostHeads);
  o.ffn = size(config, "d_ff");
  o.layers = size(config, "num_layers", kMostLayers);
  o.decoder_layers = size_or(config, "num_decoder_layers", o.layers, kMostLayers);
  o.activation = read_activation(config);
  o.buckets = size_or(config, "relative_attention_num_buckets", 32);
  o.max_distance = size_or(config, "relative_attention_max_distance", 128);
  if (o.buckets % 4 != 0)
    config.reject("relative_attention_num_buckets", fmt::format("found {}; expected a multiple of 4", o.buckets));
  if (o.max_distance <= o.buckets / 2)
    config.reject("relative_attention_max_distance", fmt::format("found {}; expected more than {}, half of the buckets",
                                                                 o.max_distance, o.buckets / 2));
  o.dropout = o.attention_dropout = probability(config, "dropout_rate", 0.1);
  o.norm_eps = positive(config, "layer_norm_epsilon", 1e-6);
  o.init_factor = positive(config, "initializer_factor", 1.0);
  require(config, "is_decoder", false);
  require(config, "is_encoder_decoder", true);
  read_head(o, config, tensors, reading.notes);
  const auto positions = config.find<std::int64_t>("n_positions");
  if (positions) o.sequence = in_range(config, "n_positions", *positions, kMostPositions);
  else
    reading.notes.push_back(fmt::format("config.json has no lengths: sequence is {} and target {}, to be set as the data are",
                                        o.sequence, o.target));
  for (const char* key : {"classifier_dropout", "output_past"}) config.ignore(key);
  reading.options = o.written();
  return reading;
}

std::string T5Weights::write_config(const Options& options) const {
  const T5Options o = T5Options::read(options);
  if (o.attention_dropout != o.dropout)
    throw Error(ExitCode::unsupported, "no public model type of family t5 has an attention_dropout of its own",
                fmt::format("it is that of dropout, {}", o.dropout));
  const bool gated = o.activation == "gated_gelu";
  const Json config = {{"architectures", {"T5ForConditionalGeneration"}},
                       {"model_type", "t5"},
                       {"vocab_size", o.vocab},
                       {"d_model", o.hidden},
                       {"d_kv", o.head_dim},
                       {"d_ff", o.ffn},
                       {"num_layers", o.layers},
                       {"num_decoder_layers", o.decoder_layers},
                       {"num_heads", o.heads},
                       {"relative_attention_num_buckets", o.buckets},
                       {"relative_attention_max_distance", o.max_distance},
                       {"dropout_rate", o.dropout},
                       {"layer_norm_epsilon", o.norm_eps},
                       {"initializer_factor", o.init_factor},
                       {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
                       {"is_encoder_decoder", true},
                       {"pad_token_id", 0},
                       {"eos_token_id", 1},
                       {"decoder_start_token_id", 0},
                       {"tie_word_embeddings", o.tied},
                       {"scale_decoder_outputs", o.scaled}};
  return config.dump(2) + "\n";
}

}  // namespace trellis::t5
