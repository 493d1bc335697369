// attention: b s g r d, b t g d, b t g d -> b s g r d   Scaled dot products over all keys t; heads and batch are free.
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
    return reads(op, pass, {true, true, true}, /*output=*/true, /*extras=*/true);
  }
  std::vector<Extra> extras(const LayerSpec&, const Op& op) const override {
    const auto& q = op.input_dims.at(0);  // b s g r d
    return {{.name = "lse", .dims = {q.at(0), q.at(2), q.at(3), q.at(1)}}};
  }

  // Forward is two products, backward five (the scores are made again); a causal mask leaves half of each.
  Flops flops(const OpSizes& s, Pass pass) const override {
    const std::int64_t keys = s.elements({Dims(*s.op).key});
    const std::int64_t product = 2 * output_elements(s) * keys / (s.op->integer("causal") ? 2 : 1);
    switch (pass) {
      case Pass::forward:
        return Flops(2 * product);
      case Pass::weight_gradient:
        return Flops(0);
      default:
        return Flops(5 * product);
    }
  }

  // The fused kernel works in blocks. With dropout the explicit path is used: scores, and their gradients in backward.
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    if (s.op->real("dropout") == 0) return Bytes(0);
    const std::int64_t scores = output_elements(s) / s.elements({Dims(*s.op).head}) * s.elements({Dims(*s.op).key});
    return size_of(statistics_dtype(s.dtype)) * (scores * (pass == Pass::forward ? 2 : 3));
  }
};

}  // namespace

ContractPtr attention_contract() { return std::make_shared<Attention>(); }

}  // namespace trellis::ops
