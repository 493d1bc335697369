#include "options.h"

#include <algorithm>
#include <span>

#include <fmt/ranges.h>

#include "trellis/plan/error.h"

namespace trellis::gpt {
namespace {

double at_least_one(const Options& options, std::string_view key) {
  const double value = options.required<double>(key);
  if (!(value >= 1)) options.reject(key, fmt::format("found {}; expected 1 or more", value));
  return value;
}

double positive(const Options& options, std::string_view key, double otherwise) {
  double value = otherwise;
  OptionFields::reading(options).positive(key, value, otherwise);
  return value;
}

void check_heads(const Options& options, const GptOptions& o) {
  if (!options.has("head_dim") && o.hidden % o.heads != 0)
    options.reject("heads", fmt::format("{} heads do not divide hidden {}", o.heads, o.hidden),
                   "change one of them, or write head_dim");
  if (o.heads % o.kv_heads != 0)
    options.reject("kv_heads", fmt::format("{} kv heads do not divide {} heads", o.kv_heads, o.heads),
                   "every kv head serves the same number of query heads");
  if (o.rotary && o.head_dim % 2 != 0)
    options.reject("head_dim", fmt::format("rotary positions rotate pairs, and a head has {} features", o.head_dim),
                   "make head_dim even, or take positions: learned");
}

void check_positions(const Options& options, const GptOptions& o) {
  if (!o.rotary && o.sequence > o.max_positions)
    options.reject("sequence", fmt::format("{} tokens, and the table of positions has {} rows (max_positions)",
                                           o.sequence, o.max_positions));
}

void read_window_layers(const Options& options, GptOptions& o) {
  constexpr const char* kKey = "window_layers";
  if (!options.has(kKey)) return;
  if (o.window == 0 && options.has("window")) return options.ignore(kKey);  // none, then, in these blocks either
  if (o.window == 0) options.reject(kKey, "there is no window", "write window: the number of tokens");
  const std::string text = options.required<std::string>(kKey);
  if (text == "all") return;
  try {
    o.window_layers = parse_ranges(text);
  } catch (const Error& error) {
    options.reject(kKey, error.message(), "write all, or blocks from 0 on, like 0-3,6");
  }
  for (const Range& range : o.window_layers)
    if (range.second >= o.layers)
      options.reject(kKey, fmt::format("there is no block {}; the model has blocks 0-{}", range.second, o.layers - 1));
}

void read_rope_scaling(const Options& options, GptOptions& o) {
  if (!options.has("rope_scaling")) return;
  if (!o.rotary) options.reject("rope_scaling", "it slows rotary positions, and these are learned");
  const Options section = options.section("rope_scaling");
  OptionFields::reading(section).word("type", o.rope_type, {"default", "linear", "llama3"}, "default");
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

void GptOptions::each(OptionFields f) {
  // One of two words.
  const auto second = [&f](std::string_view key, bool& is, const char* first, const char* other, bool otherwise) {
    std::string found = is ? other : first;
    f.word(key, found, {first, other}, otherwise ? other : first);
    is = found == other;
  };
  f.word("shape", shape, {"gpt2", "llama"}, "gpt2");
  const bool llama = shape == "llama";
  second("positions", rotary, "learned", "rotary", llama);
  second("norm", rms_norm, "layer_norm", "rms_norm", llama);
  std::string act = activation();
  f.word("activation", act, {"gelu", "swiglu", "gelu_exact"}, llama ? "swiglu" : "gelu");
  swiglu = act == "swiglu", gelu_exact = act == "gelu_exact";
  f.flag("bias", bias, !llama);
  f.flag("qkv_bias", qkv_bias, bias);
  f.flag("out_bias", out_bias, bias);
  f.flag("mlp_bias", mlp_bias, bias);
  f.flag("tied", tied, !llama);
  f.size("hidden", hidden, llama ? 4096 : 768);
  f.size("layers", layers, llama ? 32 : 12);
  f.size("heads", heads, llama ? 32 : 12);
  f.size("kv_heads", kv_heads, heads);
  f.size("head_dim", head_dim, std::max<std::int64_t>(1, hidden / heads));
  f.size("ffn", ffn, llama ? round_up((8 * hidden + 2) / 3, 256) : 4 * hidden);
  f.size("vocab", vocab, llama ? 32000 : 50257);
  f.size("vocab_multiple", vocab_multiple, 128);
  f.index("pad_token", pad_token, vocab - 1);
  f.size("sequence", sequence, llama ? 4096 : 1024);
  f.size("max_positions", max_positions, sequence);
  f.count("window", window, 0);
  f.probability("dropout", dropout);
  f.probability("embedding_dropout", embedding_dropout, dropout);
  f.probability("attention_dropout", attention_dropout);
  f.positive("norm_eps", norm_eps, 1e-5);
  f.positive("rope_theta", rope_theta, 10000);
  f.positive("init_std", init_std, 0.02);
  f.size("loss_chunk", loss_chunk, 1024);
}

GptOptions GptOptions::read(const Options& options) {
  GptOptions o;
  o.each(OptionFields::reading(options));
  check_heads(options, o);
  check_positions(options, o);
  read_rope_scaling(options, o);
  read_window_layers(options, o);
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
  o.pad_token = std::min<std::int64_t>(pad_token, 1);
  o.sequence = o.max_positions = 12;
  if (window > 0) o.window = 5;
  if (!window_layers.empty()) o.window_layers = {{o.layers - 1, o.layers - 1}};
  o.loss_chunk = 10;  // so that a batch has several, the last one shorter
  return o;
}

Options GptOptions::written() const {
  Options options = Options::empty("gpt");
  GptOptions(*this).each(OptionFields::writing(options));
  const auto set = [&](std::string_view key, const auto& value) { options.set(key, fmt::format("{}", value)); };
  if (rope_type != "default") {
    set("rope_scaling.type", rope_type);
    set("rope_scaling.factor", rope_scaling.factor);
  }
  if (rope_type == "llama3") {
    set("rope_scaling.original_max_positions", rope_scaling.original_positions);
    set("rope_scaling.low_freq_factor", rope_scaling.low_turns);
    set("rope_scaling.high_freq_factor", rope_scaling.high_turns);
  }
  if (!window_layers.empty()) {
    std::vector<std::string> ranges;
    for (const Range& range : window_layers) ranges.push_back(format(range));
    set("window_layers", fmt::format("\"{}\"", fmt::join(ranges, ",")));
  }
  return options;
}

bool GptOptions::has_window(std::int64_t block) const {
  return window > 0 && window < sequence &&
         (window_layers.empty() || std::ranges::any_of(window_layers, [&](const Range& range) {
            return range.first <= block && block <= range.second;
          }));
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
