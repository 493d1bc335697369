// config.json of GPT-2, LLaMA, Mistral and Qwen2: what its keys mean, and what is written back.
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "public_weights.h"
#include "trellis/plan/error.h"
#include "trellis/plan/public_config.h"

namespace trellis::gpt {
namespace {

using namespace public_config;
using Json = nlohmann::ordered_json;

constexpr const char* kTied = "tie_word_embeddings";

bool read_tied(const Options& config, bool otherwise, const std::string& table, const WeightTensors& tensors,
               std::vector<std::string>& notes) {
  return tied(config.get(kTied, otherwise), "lm_head.weight", table, tensors, notes);
}

void read_gpt2(const Options& config, const WeightTensors& tensors, GptOptions& o, std::vector<std::string>& notes) {
  o.shape = "gpt2";
  o.vocab = size(config, "vocab_size");
  o.sequence = o.max_positions = size(config, "n_positions", kMostPositions);
  o.hidden = size(config, "n_embd");
  o.layers = size(config, "n_layer", kMostLayers);
  o.heads = o.kv_heads = size(config, "n_head", kMostHeads);
  if (o.hidden % o.heads != 0)
    config.reject("n_head", fmt::format("{} heads do not divide n_embd {}", o.heads, o.hidden));
  o.head_dim = o.hidden / o.heads;
  o.ffn = size_or(config, "n_inner", 4 * o.hidden);
  o.gelu_exact = word(config, "activation_function", "gelu_new", {"gelu_new", "gelu_pytorch_tanh", "gelu"}) == "gelu";
  o.dropout = config.get("resid_pdrop", 0.1);
  o.embedding_dropout = config.get("embd_pdrop", 0.1);
  o.attention_dropout = config.get("attn_pdrop", 0.1);
  o.norm_eps = config.get("layer_norm_epsilon", 1e-5);
  require(config, "scale_attn_weights", true);
  require(config, "scale_attn_by_inverse_layer_idx", false);
  require(config, "add_cross_attention", false);
  o.tied = read_tied(config, true, "transformer.wte.weight", tensors, notes);
  for (const char* key : {"n_ctx", "reorder_and_upcast_attn", "summary_type", "summary_use_proj", "summary_activation",
                          "summary_proj_to_labels", "summary_first_dropout"})
    config.ignore(key);  // n_positions again, a matter of precision, a head that is not here
}

double at_least(double least, const Options& section, const char* key) {
  const double value = section.required<double>(key);
  if (!(value >= least)) section.reject(key, fmt::format("found {}; expected {} or more", value, least));
  return value;
}

// A section of rotary settings: `rope_scaling` of older files, `rope_parameters` of newer ones.
void read_rotary_section(const Options& config, const char* name, std::optional<double>& theta, GptOptions& o) {
  if (!config.has(name)) return;
  const Options section = config.section(name);
  const std::string key = section.has("rope_type") ? "rope_type" : "type";
  const std::string type = word(section, key, "default", {"default", "linear", "llama3"});
  section.ignore("type");
  RotaryScaling scaling;
  if (type != "default") scaling.factor = at_least(1, section, "factor");
  if (type == "llama3") {
    scaling.original_positions = at_least(1, section, "original_max_position_embeddings");
    scaling.low_turns = at_least(1e-6, section, "low_freq_factor");
    scaling.high_turns = at_least(1e-6, section, "high_freq_factor");
    if (scaling.high_turns <= scaling.low_turns) section.reject("high_freq_factor", "expected more than low_freq_factor");
  }
  if (o.rope_type != "default" && (type != o.rope_type || scaling != o.rope_scaling))
    section.reject(key, "config.json also says otherwise", "rope_scaling and rope_parameters are two names of one thing");
  o.rope_type = type, o.rope_scaling = scaling;
  if (section.get("partial_rotary_factor", 1.0) != 1.0)
    section.reject("partial_rotary_factor", "rotation of a part of each head is not supported");
  const auto found = section.find<double>("rope_theta");
  if (found && theta && *found != *theta)
    section.reject("rope_theta", fmt::format("{}, and config.json also says {}", *found, *theta));
  if (found) theta = found;
  section.finish();
}

void read_rotary(const Options& config, GptOptions& o) {
  std::optional<double> theta = config.find<double>("rope_theta");
  read_rotary_section(config, "rope_scaling", theta, o);
  read_rotary_section(config, "rope_parameters", theta, o);
  if (config.get("partial_rotary_factor", 1.0) != 1.0)
    config.reject("partial_rotary_factor", "rotation of a part of each head is not supported");
  o.rope_theta = theta.value_or(10000.0);
}

// Blocks that have a window, by their types.
std::vector<Range> windowed_blocks(const Options& config, std::int64_t blocks) {
  const auto types = config.get("layer_types", std::vector<std::string>{});
  if (static_cast<std::int64_t>(types.size()) != blocks)
    config.reject("layer_types", fmt::format("{} types for {} layers", types.size(), blocks));
  std::vector<Range> ranges;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::string& type = types[static_cast<std::size_t>(i)];
    if (type != "full_attention" && type != "sliding_attention")
      config.reject("layer_types", fmt::format("'{}' is not supported", type),
                    "supported: full_attention, sliding_attention");
    if (type == "full_attention") continue;
    if (!ranges.empty() && ranges.back().second == i - 1) ranges.back().second = i;
    else ranges.emplace_back(i, i);
  }
  return ranges;
}

// Qwen2 has windows from block max_window_layers on, where layer_types does not say it.
void read_window(const Options& config, const std::string& type, GptOptions& o) {
  const bool is_qwen2 = type == "qwen2";
  const bool used = is_qwen2 ? config.get("use_sliding_window", false) : type == "mistral";
  std::vector<Range> blocks{{0, o.layers - 1}};
  if (is_qwen2) {
    const std::int64_t first = config.get<std::int64_t>("max_window_layers", 28);
    if (first < 0) config.reject("max_window_layers", fmt::format("found {}; expected 0 or more", first));
    if (first >= o.layers) blocks.clear();
    else blocks.front().first = first;
  }
  if (config.has("layer_types")) blocks = windowed_blocks(config, o.layers);
  const auto window = type == "llama" ? std::nullopt : config.find<std::int64_t>("sliding_window");
  if (!used || !window || blocks.empty()) return;
  if (*window < 1) config.reject("sliding_window", fmt::format("found {}; expected 1 or more", *window));
  o.window = *window;
  if (blocks != std::vector<Range>{{0, o.layers - 1}}) o.window_layers = blocks;
}

// Where a model type has windows in some blocks or in all of them.
void write_window(const GptOptions& o, const std::string& type, Json& config) {
  if (type == "mistral") config["sliding_window"] = o.window;
  if (type != "qwen2") return;
  config["use_sliding_window"] = o.window > 0;
  if (o.window == 0) return;
  std::vector<std::string> types(static_cast<std::size_t>(o.layers),
                                 o.window_layers.empty() ? "sliding_attention" : "full_attention");
  for (const Range& range : o.window_layers)
    std::fill(types.begin() + range.first, types.begin() + range.second + 1, "sliding_attention");
  config["sliding_window"] = o.window;
  config["max_window_layers"] = std::find(types.begin(), types.end(), "sliding_attention") - types.begin();
  config["layer_types"] = types;
}

void read_llama(const Options& config, const std::string& type, const WeightTensors& tensors, GptOptions& o,
                std::vector<std::string>& notes) {
  o.shape = "llama";
  o.rotary = o.rms_norm = o.swiglu = true;
  o.bias = false;
  o.vocab = size(config, "vocab_size");
  o.hidden = size(config, "hidden_size");
  o.layers = size(config, "num_hidden_layers", kMostLayers);
  o.heads = size(config, "num_attention_heads", kMostHeads);
  o.kv_heads = size_or(config, "num_key_value_heads", o.heads);
  if (o.heads % o.kv_heads != 0)
    config.reject("num_key_value_heads", fmt::format("{} kv heads do not divide {} heads", o.kv_heads, o.heads));
  if (!config.has("head_dim") && o.hidden % o.heads != 0)
    config.reject("num_attention_heads", fmt::format("{} heads do not divide hidden_size {}", o.heads, o.hidden));
  o.head_dim = size_or(config, "head_dim", o.hidden / o.heads, kMostHeads);
  o.ffn = size(config, "intermediate_size");
  o.sequence = o.max_positions = size(config, "max_position_embeddings", kMostPositions);
  o.norm_eps = config.get("rms_norm_eps", 1e-6);
  o.attention_dropout = config.get("attention_dropout", 0.0);
  word(config, "hidden_act", "silu", {"silu", "swish"});
  o.qkv_bias = type == "qwen2";
  o.out_bias = o.mlp_bias = false;
  if (type == "llama") {
    o.qkv_bias = o.out_bias = config.get("attention_bias", false);
    o.mlp_bias = config.get("mlp_bias", false);
    config.ignore("pretraining_tp");  // how products were once cut: the same numbers but for rounding
  }
  read_rotary(config, o);
  read_window(config, type, o);
  o.tied = read_tied(config, false, "model.embed_tokens.weight", tensors, notes);
  o.pad_token = pad_token(config, o.vocab, -1);
}

Json gpt2_config(const GptOptions& o) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"vocab_size", o.vocab},
          {"n_positions", o.max_positions},
          {"n_embd", o.hidden},
          {"n_layer", o.layers},
          {"n_head", o.heads},
          {"n_inner", o.ffn},
          {"activation_function", o.gelu_exact ? "gelu" : "gelu_new"},
          {"resid_pdrop", o.dropout},
          {"embd_pdrop", o.embedding_dropout},
          {"attn_pdrop", o.attention_dropout},
          {"layer_norm_epsilon", o.norm_eps},
          {"initializer_range", o.init_std},
          {kTied, o.tied}};
}

Json rotary_section(const GptOptions& o) {
  Json section = {{"rope_theta", o.rope_theta}, {"rope_type", o.rope_type}};
  if (o.rope_type != "default") section["factor"] = o.rope_scaling.factor;
  if (o.rope_type == "llama3") {
    section["original_max_position_embeddings"] = static_cast<std::int64_t>(o.rope_scaling.original_positions);
    section["low_freq_factor"] = o.rope_scaling.low_turns;
    section["high_freq_factor"] = o.rope_scaling.high_turns;
  }
  return section;
}

Json llama_config(const GptOptions& o, const std::string& type) {
  const char* architecture = type == "qwen2"     ? "Qwen2ForCausalLM"
                             : type == "mistral" ? "MistralForCausalLM"
                                                 : "LlamaForCausalLM";
  Json config = {{"architectures", {architecture}},
                 {"model_type", type},
                 {"vocab_size", o.vocab},
                 {"hidden_size", o.hidden},
                 {"intermediate_size", o.ffn},
                 {"num_hidden_layers", o.layers},
                 {"num_attention_heads", o.heads},
                 {"num_key_value_heads", o.kv_heads},
                 {"head_dim", o.head_dim},
                 {"hidden_act", "silu"},
                 {"max_position_embeddings", std::max(o.max_positions, o.sequence)},
                 {"rms_norm_eps", o.norm_eps},
                 {"rope_theta", o.rope_theta},
                 {"rope_parameters", rotary_section(o)},
                 {"attention_dropout", o.attention_dropout},
                 {"initializer_range", o.init_std},
                 {kTied, o.tied}};
  config["pad_token_id"] = o.pad_token >= 0 ? Json(o.pad_token) : Json();
  if (type == "llama") config["attention_bias"] = o.qkv_bias, config["mlp_bias"] = o.mlp_bias;
  if (o.rope_type != "default") config["rope_scaling"] = rotary_section(o), config["rope_scaling"].erase("rope_theta");
  write_window(o, type, config);
  return config;
}

}  // namespace

ConfigReading GptWeights::read_config(const Options& config, const WeightTensors& tensors) const {
  ConfigReading reading;
  GptOptions o{};
  const std::string type = config.required<std::string>("model_type");
  o.vocab_multiple = 128;
  o.loss_chunk = 1024;
  o.rope_theta = 10000;
  if (type == "gpt2") read_gpt2(config, tensors, o, reading.notes);
  else read_llama(config, type, tensors, o, reading.notes);
  o.init_std = config.get("initializer_range", 0.02);
  reading.options = o.written();
  return reading;
}

std::string GptWeights::write_config(const Options& options) const {
  const GptOptions o = GptOptions::read(options);
  const std::string type = model_type_of(o);
  return (o.rotary ? llama_config(o, type) : gpt2_config(o)).dump(2) + "\n";
}

}  // namespace trellis::gpt
