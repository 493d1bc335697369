// attention: b s g r d, b t g d, b t g d [, mask b t] [, table n g r] -> b s g r d   Scaled dot products over all keys t;
// heads and batch are free. The table is a bias by distance: n buckets of it.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

struct Dims {  // positions in the index expression
  explicit Dims(const Op& op)
      : query(op.input_dims.at(0).at(1)), key(op.input_dims.at(1).at(1)), head(op.input_dims.at(0).back()) {}
  DimId query, key, head;
};

class Attention final : public OpContract {
  std::string_view kind() const override { return "attention"; }
  DimUse use(const LayerSpec& layer, const Op& op, DimId d) const override {
    const Dims dims(op);
    if (d == dims.query || d == dims.key || d == dims.head) return DimUse::whole;
    return OpContract::use(layer, op, d);
  }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {true, true, true, true}, /*output=*/true, /*extras=*/true);
  }
  std::vector<Extra> extras(const LayerSpec&, const Op& op) const override {
    const auto& q = op.input_dims.at(0);  // b s g r d
    return {{.name = "lse", .dims = {q.at(0), q.at(2), q.at(3), q.at(1)}}};
  }

  // Forward is two products, backward five (the scores are made again); a causal mask leaves half of each, a window what is in it.
  Flops flops(const OpSizes& s, Pass pass) const override {
    const std::int64_t keys = s.elements({Dims(*s.op).key}), window = s.op->integer("window");
    const bool cut = window > 0 && window < keys;
    // Twice the keys that a query sees on an average; in a window the first queries see fewer.
    const std::int64_t seen = cut ? 2 * window - window * window / keys : s.op->integer("causal") ? keys : 2 * keys;
    const std::int64_t product = output_elements(s) * seen;
    switch (pass) {
      case Pass::forward:
        return Flops(2 * product);
      case Pass::weight_gradient:
        return Flops(0);
      default:
        return Flops(5 * product);
    }
  }

  FieldRange field(const LayerSpec&, const Op&, std::size_t) const override { return {.kind = FieldKind::mask, .values = 2}; }

  // fp32 and fp64 work through blocks of scores. bf16 takes a fused kernel, whose results are copied into place; it has
  // no dropout, mask, bias or window and is slow in backward of few keys: there everything is widened to fp32 first.
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    const bool backward = pass != Pass::forward, dropout = s.op->real("dropout") > 0;
    const std::int64_t queries = output_elements(s), keys = input_elements(s, 1);
    if (s.dtype != Dtype::bf16) return blocks(s, backward, dropout);
    if (fused_attention(*s.layer, *s.op, s.elements({Dims(*s.op).key}), backward)) return fused(s, backward);
    // q, k, v and the output; backward also the output's gradient, and those of q, k, v.
    return size_of(Dtype::f32) * (backward ? 4 * queries + 4 * keys : 2 * queries + 2 * keys) +
           blocks(s, backward, dropout);
  }

  // The results, which are then copied, and what the kernel takes: for each thread a tile of scores, in fp32 and rounded, in
  // backward also their gradients; forward keeps sums of the queries of a tile, too, and turns the keys and values of
  // sequences that are worth it into an order for matrix instructions.
  Bytes fused(const OpSizes& s, bool backward) const {
    const Dims dims(*s.op);
    const std::int64_t queries = s.elements({dims.query}), keys = s.elements({dims.key}), head = s.elements({dims.head});
    const std::int64_t rows = std::min<std::int64_t>(queries, queries >= 768 ? 256 : queries >= 192 ? 64 : 32);
    const std::int64_t columns = std::min<std::int64_t>(keys, 512), tile = rows * columns;
    const std::int64_t output = output_elements(s), input = input_elements(s, 1);
    if (backward) return Bytes(2 * (output + 2 * input) + s.threads * (12 * tile + 4 * rows));
    const bool turned = queries >= 64 && keys >= 64;
    return Bytes(2 * output + 4 * (output / std::max<std::int64_t>(1, head)) + (turned ? 2 * 2 * input : 0) +
                 s.threads * (6 * tile + 4 * rows * (2 + head)));
  }

  // Each thread's scores of a block of queries (in backward also their gradients), and the random words of a row.
  Bytes blocks(const OpSizes& s, bool backward, bool dropout) const {
    const std::int64_t keys = columns(s), all = std::max<std::int64_t>(1, s.elements({Dims(*s.op).key}));
    const std::int64_t most = !s.op->integer("causal") ? 256 : keys <= 512 ? 32 : 64;
    const std::int64_t rows = std::clamp<std::int64_t>((std::int64_t{1} << 18) / keys, 16, most);
    const std::int64_t scores = (rows * keys + 15) / 16 * 16;
    return size_of(statistics_dtype(s.dtype)) * (s.threads * scores * (backward ? 2 : 1) + distances(s, backward)) +
           Bytes(dropout ? 4 * s.threads * all : 0);
  }

  // Keys that a block of queries sees: under a window those of its first query, too.
  static std::int64_t columns(const OpSizes& s) {
    const std::int64_t keys = std::max<std::int64_t>(1, s.elements({Dims(*s.op).key})), window = s.op->integer("window");
    return window > 0 ? std::min(keys, window + 63) : keys;
  }

  // A trainable bias is laid out by distance for each head; in backward each sample gathers its gradient so.
  static std::int64_t distances(const OpSizes& s, bool backward) {
    if (s.op->parameters.empty()) return 0;
    const auto& q = s.op->input_dims.at(0);
    const Dims dims(*s.op);
    const std::int64_t length = s.elements({dims.query}) + s.elements({dims.key}) - 1, heads = s.elements({q.at(2), q.at(3)});
    return length * heads * (backward ? 1 + s.elements({q.at(0)}) : 1);
  }
};

}  // namespace

bool fused_attention(const LayerSpec& layer, const Op& op, std::int64_t keys, bool backward) {
  const bool padded = layer.dims.at(static_cast<std::size_t>(Dims(op).key)).size < keys && !op.integer("causal");
  const bool plain = op.inputs.size() == 3 && op.parameters.empty() && op.real("scale") == 0 &&
                     op.integer("window") == 0 && !padded;
  return plain && op.real("dropout") <= 0 && !(backward && keys <= 256);
}

ContractPtr attention_contract() { return std::make_shared<Attention>(); }

}  // namespace trellis::ops
