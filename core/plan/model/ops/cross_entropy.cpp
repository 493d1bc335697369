// cross_entropy: b s h, labels b s, table v h [, bias v] -> scalar   The head's product and the loss in one, chunk of tokens by
// chunk, so that the logits of all tokens never exist. Forward makes the gradients too: the table's is added at once,
// the input's is an extra output, Partial over the axes of v.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

constexpr std::int64_t kStatistics = 3;  // of a token: local maximum, sum of exponentials, the target's logit

class CrossEntropy final : public OpContract {
  std::string_view kind() const override { return "cross_entropy"; }
  DimUse use(const LayerSpec& layer, const Op& op, DimId d) const override {
    if (d == op.input_dims.at(0).back()) return DimUse::whole;
    if (d == vocab(layer, op)) return DimUse::internal;
    return OpContract::use(layer, op, d);
  }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {}, false, /*extras=*/true);
  }
  std::vector<Extra> extras(const LayerSpec&, const Op& op) const override {
    return {{.name = "gradient", .dims = op.input_dims.at(0), .compute_dtype = true}};
  }
  bool once() const override { return true; }
  FieldRange field(const LayerSpec& layer, const Op& op, std::size_t) const override {
    return {.kind = FieldKind::labels,
            .values = op.integer("real_vocab", layer.dims.at(static_cast<std::size_t>(vocab(layer, op))).size)};
  }

  // Three products: logits, the input's gradient, the table's gradient.
  Flops flops(const OpSizes& s, Pass pass) const override {
    return pass == Pass::forward ? Flops(6 * product_of_all_dims(s)) : Flops(0);
  }

  // One chunk's logits, which become their gradients in place, and its statistics. Beside them stands what a product
  // makes before it is copied or added to its place: the logits, or the table's gradient with the turned logits that it
  // is made of (see linear).
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    if (pass != Pass::forward) return Bytes(0);
    const DimId v = vocab(*s.layer, *s.op);
    const std::int64_t rows = std::min(tokens(s), chunk(s)), logits = rows * s.elements({v});
    const bool in_place = s.dtype == Dtype::f64 || (s.dtype == Dtype::f32 && s.products_in_place);
    const std::int64_t product = in_place ? 0 : logits + parameter_elements(s, 0);
    const int ranks = s.degree.at(static_cast<std::size_t>(v)), parts = ranks > 1 ? ranks + 1 : 1;
    return size_of(s.dtype) * (logits + product) + size_of(statistics_dtype(s.dtype)) * (kStatistics * rows * parts);
  }

  std::vector<InnerMove> inner_moves(const OpSizes& s, Pass pass) const override {
    const auto v = static_cast<std::size_t>(vocab(*s.layer, *s.op));
    if (pass != Pass::forward || s.degree.at(v) == 1) return {};
    const Bytes received = size_of(statistics_dtype(s.dtype)) * (kStatistics * (s.degree[v] - 1));  // of one token
    const std::int64_t whole = tokens(s) / chunk(s), rest = tokens(s) % chunk(s);
    std::vector<InnerMove> moves;
    if (whole > 0)
      moves.push_back({.kind = MoveKind::all_gather, .axes = s.axes.at(v), .bytes = received * (whole * chunk(s)), .count = static_cast<int>(whole)});
    if (rest > 0) moves.push_back({.kind = MoveKind::all_gather, .axes = s.axes.at(v), .bytes = received * rest});
    return moves;
  }

  static DimId vocab(const LayerSpec& layer, const Op& op) {
    return layer.parameters.at(static_cast<std::size_t>(op.parameters.at(0))).dims.at(0);
  }
  static std::int64_t tokens(const OpSizes& s) { return input_elements(s, 1); }
  static std::int64_t chunk(const OpSizes& s) { return std::max<std::int64_t>(1, s.op->integer("chunk", 1024)); }
};

}  // namespace

ContractPtr cross_entropy_contract() { return std::make_shared<CrossEntropy>(); }

}  // namespace trellis::ops
