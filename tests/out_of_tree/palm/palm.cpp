// Family palm: decoders in which attention and MLP read the same norm and are added side by side (Chowdhery et al.,
// "PaLM", 2022, section 2): rotary positions, one key head for all query heads, a silu gate, no biases, a tied head. The last
// ones may attend to a memory, all to the same, instead of to what they get.
#include <cmath>
#include <string>

#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"

namespace {

using namespace trellis;

constexpr double kInitStd = 0.02, kEps = 1e-5, kTheta = 10000;
constexpr const char* kTable = "embedding.weight";  // the head's table is the embedding's

struct PalmOptions {
  std::int64_t hidden, layers, heads, ffn, vocab, sequence;
  std::int64_t cross_layers;  // of the layers, the last ones, which attend to a memory

  static PalmOptions read(const Options& options) {
    const auto at_least = [&](std::int64_t least, const char* key, std::int64_t otherwise) {
      const std::int64_t value = options.get(key, otherwise);
      if (value < least) options.reject(key, fmt::format("expected {} or more, found {}", least, value));
      return value;
    };
    const auto positive = [&](const char* key, std::int64_t otherwise) { return at_least(1, key, otherwise); };
    PalmOptions o{};
    o.hidden = positive("hidden", 512);
    o.layers = positive("layers", 8);
    o.heads = positive("heads", 8);
    o.ffn = positive("ffn", 4 * o.hidden);
    o.vocab = positive("vocab", 257);
    o.sequence = positive("sequence", 256);
    o.cross_layers = at_least(0, "cross_layers", 0);
    if (o.cross_layers > o.layers)
      options.reject("cross_layers", fmt::format("found {}, of {} layers", o.cross_layers, o.layers));
    if (o.hidden % (2 * o.heads) != 0)
      options.reject("heads", fmt::format("{} heads do not cut hidden {} into pairs", o.heads, o.hidden),
                     "rotary positions rotate pairs of a head's features");
    return o;
  }

  std::int64_t padded_vocab() const { return (vocab + 127) / 128 * 128; }

  std::vector<Dim> dims() const {
    return {{"batch", std::string(kBatch), 0},
            {"sequence", std::string(kSequence), sequence},
            {"keys", std::string(kSequence), sequence},
            {"hidden", std::string(kHidden), hidden},
            {"kv_heads", std::string(kHeads), 1},
            {"queries_per_kv", std::string(kHeads), heads},
            {"head_dim", std::string(kOther), hidden / heads},
            {"ffn", std::string(kFfn), ffn},
            {"vocab", std::string(kVocab), padded_vocab()}};
  }
};

LayerSpec embedding(const PalmOptions& o) {
  LayerBuilder b("embedding", o.dims());
  const ValueId ids = b.field("ids", {"batch", "sequence"});
  b.output("hidden", b.embedding("token", ids, "vocab", std::string(kLinear), kInitStd, kTable));
  return b.build();
}

// Attention to x itself, or to a memory where there is one, and beside it the MLP.
ValueId side_by_side(LayerBuilder& b, const PalmOptions& o, ValueId x, ValueId memory = -1) {
  // Two products write to the residual stream in each layer.
  const double out_std = kInitStd / std::sqrt(2.0 * static_cast<double>(o.layers));
  const ValueId positions = b.field("positions", {"batch", "sequence"});
  const ValueId h = b.layer_norm("norm", x, kEps, /*bias=*/false), from = memory < 0 ? h : memory;

  const ValueId q = b.linear("attn.q", h, {"kv_heads", "queries_per_kv", "head_dim"}, false, kInitStd);
  const ValueId k = b.linear("attn.k", from, {"kv_heads", "head_dim"}, false, kInitStd);
  const ValueId v = b.linear("attn.v", from, {"kv_heads", "head_dim"}, false, kInitStd);
  const ValueId rotated_q = b.rotary("attn.rotary_q", q, positions, kTheta);
  const ValueId rotated_k = b.rotary("attn.rotary_k", k, positions, kTheta);
  const ValueId core = b.attention("attn.core", rotated_q, rotated_k, v, {.causal = true});
  const ValueId attention = b.linear("attn.out", core, {"hidden"}, false, out_std);

  const ValueId gate = b.silu("mlp.act", b.linear("mlp.gate", h, {"ffn"}, false, kInitStd));
  const ValueId up = b.linear("mlp.up", h, {"ffn"}, false, kInitStd);
  const ValueId mlp = b.linear("mlp.down", b.multiply("mlp.gated", gate, up), {"hidden"}, false, out_std);
  return b.add("sum", x, b.add("parts", attention, mlp));
}

LayerSpec block(const PalmOptions& o) {
  LayerBuilder b("block", o.dims());
  b.output("hidden", side_by_side(b, o, b.input("hidden", {"batch", "sequence", "hidden"})));
  return b.build();
}

// What the blocks behind it attend to (Sun et al., "You only cache once", 2024).
LayerSpec memory(const PalmOptions& o) {
  LayerBuilder b("memory", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  b.output("memory", b.layer_norm("norm", x, kEps, /*bias=*/false));
  b.output("hidden", x);
  return b.build();
}

// It hands the memory on, to its next and over the border of a stage, unless nobody needs it any more.
LayerSpec cross_block(const PalmOptions& o, bool last) {
  LayerBuilder b(last ? "last_cross_block" : "cross_block", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  const ValueId memory = b.input("memory", {"batch", "sequence", "hidden"});
  b.output("hidden", side_by_side(b, o, x, memory));
  if (!last) b.output("memory", memory);
  return b.build();
}

LayerSpec head(const PalmOptions& o) {
  LayerBuilder b("head", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  const ValueId labels = b.field("labels", {"batch", "sequence"});
  const ValueId normed = b.layer_norm("norm", x, kEps, /*bias=*/false);
  b.loss(b.cross_entropy("lm_head", normed, labels, "vocab", o.vocab, kInitStd, kTable));
  return b.build();
}

class Palm final : public ModelFamily {
 public:
  ModelSpec describe(const Options& options) const override {
    const PalmOptions o = PalmOptions::read(options);
    ModelSpec model;
    model.family = "palm";
    model.summary = fmt::format("palm, {} layers, hidden {}", o.layers, o.hidden);
    const auto add = [&](std::int64_t count, LayerSpec layer) {  // equal layers are one object
      model.layers.insert(model.layers.end(), static_cast<std::size_t>(count),
                          std::make_shared<const LayerSpec>(std::move(layer)));
    };
    add(1, embedding(o));
    add(o.layers - o.cross_layers, block(o));
    if (o.cross_layers > 0) {
      add(1, memory(o));
      add(o.cross_layers - 1, cross_block(o, /*last=*/false));
      add(1, cross_block(o, /*last=*/true));
    }
    add(1, head(o));
    model.sequence = o.sequence;
    model.vocab = o.vocab;
    return model;
  }

  // Small enough for a test of many plans, with everything still divisible by 4.
  Options shrink(const Options& options) const override {
    const PalmOptions o = PalmOptions::read(options);
    Options small = Options::empty("shrunk palm");
    small.set("layers", fmt::format("{}", std::min<std::int64_t>(o.layers, 3)));
    small.set("cross_layers", fmt::format("{}", std::min<std::int64_t>(o.cross_layers, 2)));
    for (const auto& [key, value] :
         {std::pair("hidden", "16"), {"heads", "4"}, {"ffn", "32"}, {"vocab", "37"}, {"sequence", "12"}})
      small.set(key, value);
    return small;
  }
};

}  // namespace

TRELLIS_PLUGIN("palm", "1.0.0") { registrar.add<Palm>(); }
