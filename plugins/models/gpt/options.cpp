#include "options.h"

#include <algorithm>
#include <span>

#include "trellis/plan/error.h"

namespace trellis::gpt {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// The option as one of a few words: its index.
std::size_t word(const Options& options, std::string_view key, const std::vector<std::string>& words,
                 std::size_t otherwise) {
  const std::string found = options.get<std::string>(key, words[otherwise]);
  const auto place = std::find(words.begin(), words.end(), found);
  if (place == words.end())
    options.reject(key, fmt::format("there is no '{}'", found), suggestion_hint(found, words, "one of"));
  return static_cast<std::size_t>(place - words.begin());
}

bool second_of(const Options& options, std::string_view key, const std::vector<std::string>& words, bool otherwise) {
  return word(options, key, words, otherwise ? 1 : 0) == 1;
}

std::int64_t positive(const Options& options, std::string_view key, std::int64_t otherwise) {
  const std::int64_t value = options.get(key, otherwise);
  if (value < 1) options.reject(key, fmt::format("found {}; expected 1 or more", value));
  return value;
}

double positive(const Options& options, std::string_view key, double otherwise) {
  const double value = options.get(key, otherwise);
  if (!(value > 0)) options.reject(key, fmt::format("found {}; expected more than 0", value));
  return value;
}

double at_least_one(const Options& options, std::string_view key) {
  const double value = options.required<double>(key);
  if (!(value >= 1)) options.reject(key, fmt::format("found {}; expected 1 or more", value));
  return value;
}

double probability(const Options& options, std::string_view key, double otherwise = 0) {
  const double value = options.get(key, otherwise);
  if (!(value >= 0 && value < 1)) options.reject(key, fmt::format("found {}; expected 0 or more, less than 1", value));
  return value;
}

void read_heads(const Options& options, GptOptions& o) {
  if (!options.has("head_dim") && o.hidden % o.heads != 0)
    options.reject("heads", fmt::format("{} heads do not divide hidden {}", o.heads, o.hidden),
                   "change one of them, or write head_dim");
  o.head_dim = positive(options, "head_dim", std::max<std::int64_t>(1, o.hidden / o.heads));
  if (o.heads % o.kv_heads != 0)
    options.reject("kv_heads", fmt::format("{} kv heads do not divide {} heads", o.kv_heads, o.heads),
                   "every kv head serves the same number of query heads");
  if (o.rotary && o.head_dim % 2 != 0)
    options.reject("head_dim", fmt::format("rotary positions rotate pairs, and a head has {} features", o.head_dim),
                   "make head_dim even, or take positions: learned");
}

void read_positions(const Options& options, GptOptions& o, std::int64_t sequence) {
  o.sequence = positive(options, "sequence", sequence);
  o.max_positions = positive(options, "max_positions", o.sequence);
  if (!o.rotary && o.sequence > o.max_positions)
    options.reject("sequence", fmt::format("{} tokens, and the table of positions has {} rows (max_positions)",
                                           o.sequence, o.max_positions));
  o.window = options.get("window", std::int64_t{0});
  if (o.window < 0) options.reject("window", fmt::format("found {}; expected 0 or more", o.window));
  if (o.window > 0 && o.sequence > o.window)
    options.reject("window",
                   fmt::format("attention has no windows yet, and {} tokens are more than one of {}", o.sequence,
                               o.window),
                   fmt::format("set sequence to {} or less: within one window it makes no difference", o.window));
}

void read_rope_scaling(const Options& options, GptOptions& o) {
  if (!options.has("rope_scaling")) return;
  if (!o.rotary) options.reject("rope_scaling", "it slows rotary positions, and these are learned");
  const Options section = options.section("rope_scaling");
  const std::vector<std::string> types{"default", "linear", "llama3"};
  o.rope_type = types[word(section, "type", types, 0)];
  if (o.rope_type != "default") o.rope_scaling.factor = at_least_one(section, "factor");
  if (o.rope_type == "llama3") {
    RotaryScaling& scaling = o.rope_scaling;
    scaling.original_positions = at_least_one(section, "original_max_positions");
    scaling.low_turns = positive(section, "low_freq_factor", scaling.low_turns);
    scaling.high_turns = positive(section, "high_freq_factor", scaling.high_turns);
    if (scaling.high_turns <= scaling.low_turns)
      section.reject("high_freq_factor", fmt::format("found {}; expected more than low_freq_factor, {}",
                                                     scaling.high_turns, scaling.low_turns));
  }
  section.finish();
}

}  // namespace

GptOptions GptOptions::read(const Options& options) {
  GptOptions o;
  const bool llama = second_of(options, "shape", {"gpt2", "llama"}, false);
  o.shape = llama ? "llama" : "gpt2";
  o.rotary = second_of(options, "positions", {"learned", "rotary"}, llama);
  o.rms_norm = second_of(options, "norm", {"layer_norm", "rms_norm"}, llama);
  const std::size_t activation = word(options, "activation", {"gelu", "swiglu", "gelu_exact"}, llama ? 1 : 0);
  o.swiglu = activation == 1;
  o.gelu_exact = activation == 2;
  o.bias = options.get("bias", !llama);
  o.qkv_bias = options.get("qkv_bias", o.bias);
  o.out_bias = options.get("out_bias", o.bias);
  o.mlp_bias = options.get("mlp_bias", o.bias);
  o.tied = options.get("tied", !llama);

  o.hidden = positive(options, "hidden", std::int64_t{llama ? 4096 : 768});
  o.layers = positive(options, "layers", std::int64_t{llama ? 32 : 12});
  o.heads = positive(options, "heads", std::int64_t{llama ? 32 : 12});
  o.kv_heads = positive(options, "kv_heads", o.heads);
  read_heads(options, o);
  o.ffn = positive(options, "ffn", llama ? round_up((8 * o.hidden + 2) / 3, 256) : 4 * o.hidden);
  o.vocab = positive(options, "vocab", std::int64_t{llama ? 32000 : 50257});
  o.vocab_multiple = positive(options, "vocab_multiple", std::int64_t{128});
  read_positions(options, o, llama ? 4096 : 1024);

  o.dropout = probability(options, "dropout");
  o.embedding_dropout = probability(options, "embedding_dropout", o.dropout);
  o.attention_dropout = probability(options, "attention_dropout");
  o.norm_eps = positive(options, "norm_eps", 1e-5);
  o.rope_theta = positive(options, "rope_theta", 10000.0);
  read_rope_scaling(options, o);
  o.init_std = positive(options, "init_std", 0.02);
  o.loss_chunk = positive(options, "loss_chunk", std::int64_t{1024});
  return o;
}

GptOptions GptOptions::shrunk() const {
  GptOptions o = *this;
  o.hidden = 16;
  o.layers = std::min<std::int64_t>(layers, 3);
  o.heads = 4;
  o.kv_heads = kv_heads == heads ? 4 : kv_heads == 1 ? 1 : 2;
  o.head_dim = 4;
  o.ffn = 32;
  o.vocab = 37;  // so that padded rows are there to be masked
  o.vocab_multiple = 8;
  o.sequence = o.max_positions = 12;
  o.window = 0;
  o.loss_chunk = 10;  // so that a batch has several, the last one shorter
  return o;
}

Options GptOptions::written() const {
  Options options = Options::empty("gpt");
  const auto set = [&](std::string_view key, const auto& value) { options.set(key, fmt::format("{}", value)); };
  set("shape", shape);
  set("positions", rotary ? "rotary" : "learned");
  set("norm", rms_norm ? "rms_norm" : "layer_norm");
  set("activation", activation());
  set("bias", bias);
  set("qkv_bias", qkv_bias);
  set("out_bias", out_bias);
  set("mlp_bias", mlp_bias);
  set("tied", tied);
  set("hidden", hidden);
  set("layers", layers);
  set("heads", heads);
  set("kv_heads", kv_heads);
  set("head_dim", head_dim);
  set("ffn", ffn);
  set("vocab", vocab);
  set("vocab_multiple", vocab_multiple);
  set("sequence", sequence);
  set("max_positions", max_positions);
  set("window", window);
  set("dropout", dropout);
  set("embedding_dropout", embedding_dropout);
  set("attention_dropout", attention_dropout);
  set("norm_eps", norm_eps);
  set("rope_theta", rope_theta);
  if (rope_type != "default") {
    set("rope_scaling.type", rope_type);
    set("rope_scaling.factor", rope_scaling.factor);
  }
  if (rope_type == "llama3") {
    set("rope_scaling.original_max_positions", rope_scaling.original_positions);
    set("rope_scaling.low_freq_factor", rope_scaling.low_turns);
    set("rope_scaling.high_freq_factor", rope_scaling.high_turns);
  }
  set("init_std", init_std);
  set("loss_chunk", loss_chunk);
  return options;
}

std::string GptOptions::activation() const { return swiglu ? "swiglu" : gelu_exact ? "gelu_exact" : "gelu"; }

std::int64_t GptOptions::padded_vocab() const { return round_up(vocab, vocab_multiple); }

std::vector<Dim> GptOptions::dims() const {
  const auto dim = [](std::string name, std::string_view role, std::int64_t size) {
    return Dim{std::move(name), std::string(role), size};
  };
  return {dim("batch", kBatch, 0),
          dim("sequence", kSequence, sequence),
          dim("keys", kSequence, sequence),
          dim("hidden", kHidden, hidden),
          dim("kv_heads", kHeads, kv_heads),
          dim("queries_per_kv", kHeads, heads / kv_heads),
          dim("head_dim", kOther, head_dim),
          dim("ffn", kFfn, ffn),
          dim("vocab", kVocab, padded_vocab()),
          dim("positions", kPositions, max_positions)};
}

}  // namespace trellis::gpt
