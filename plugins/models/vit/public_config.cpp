// config.json of ViT: what its keys mean, and what is written back.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "public_weights.h"
#include "trellis/plan/error.h"
#include "trellis/plan/public_config.h"

namespace trellis::vit {
namespace {

using namespace public_config;
using Json = nlohmann::ordered_json;

constexpr const char* kClassifier = "ViTForImageClassification";

void read_head(const Options& config, const WeightTensors& tensors, VitOptions& o, std::vector<std::string>& notes) {
  const std::string name = architecture(config, {kClassifier, "ViTModel", "ViTForMaskedImageModeling"});
  const bool there = tensors.has("classifier.weight");
  if (name == kClassifier && !there)
    config.reject("architectures", fmt::format("it says {}, and the tensors have no classifier.weight", name),
                  "ViTModel stands for an encoder alone, which gets a new head");
  if (!there) notes.push_back("an encoder alone: classes is to be set as the data are");
  o.classes = classes(config, "classifier.weight", tensors);
}

}  // namespace

ConfigReading VitWeights::read_config(const Options& config, const WeightTensors& tensors) const {
  ConfigReading reading;
  VitOptions o = VitOptions::read(Options::empty());
  read_head(config, tensors, o, reading.notes);
  o.image_size = side(config, "image_size", 224);
  o.patch_size = side(config, "patch_size", 16);
  if (o.image_size % o.patch_size != 0)
    config.reject("patch_size",
                  fmt::format("patches of {} pixels do not divide images of {}", o.patch_size, o.image_size));
  o.channels = size_or(config, "num_channels", 3, 1 << 10);
  o.hidden = size(config, "hidden_size");
  o.layers = size(config, "num_hidden_layers", kMostLayers);
  o.heads = size(config, "num_attention_heads", kMostHeads);
  if (o.hidden % o.heads != 0)
    config.reject("num_attention_heads", fmt::format("{} heads do not divide hidden_size {}", o.heads, o.hidden));
  o.head_dim = o.hidden / o.heads;
  o.ffn = size(config, "intermediate_size");
  o.qkv_bias = config.get("qkv_bias", true);
  o.activation =
      word(config, "hidden_act", "gelu", {"gelu", "gelu_new", "gelu_pytorch_tanh"}) == "gelu" ? "gelu_exact" : "gelu";
  o.dropout = probability(config, "hidden_dropout_prob", 0);
  o.attention_dropout = probability(config, "attention_probs_dropout_prob", 0);
  o.norm_eps = positive(config, "layer_norm_eps", 1e-12);
  o.init_std = positive(config, "initializer_range", 0.02);
  for (const char* key : {"encoder_stride", "pooler_output_size", "pooler_act"}) config.ignore(key);  // of other heads
  reading.options = o.written();
  return reading;
}

std::string VitWeights::write_config(const Options& options) const {
  const VitOptions o = VitOptions::read(options);
  if (o.head_dim * o.heads != o.hidden)
    throw Error(ExitCode::unsupported, "no public model type of family vit has heads whose sizes do not add up to hidden");
  Json config = {{"architectures", {kClassifier}},
                 {"model_type", "vit"},
                 {"image_size", o.image_size},
                 {"patch_size", o.patch_size},
                 {"num_channels", o.channels},
                 {"hidden_size", o.hidden},
                 {"num_hidden_layers", o.layers},
                 {"num_attention_heads", o.heads},
                 {"intermediate_size", o.ffn},
                 {"qkv_bias", o.qkv_bias},
                 {"hidden_act", o.activation == "gelu" ? "gelu_new" : "gelu"},
                 {"hidden_dropout_prob", o.dropout},
                 {"attention_probs_dropout_prob", o.attention_dropout},
                 {"layer_norm_eps", o.norm_eps},
                 {"initializer_range", o.init_std}};
  add_labels(config, o.classes);
  return config.dump(2) + "\n";
}

}  // namespace trellis::vit
