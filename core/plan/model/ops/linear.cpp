// linear: b s I.. , O.. I.. -> b s O..   A product with a weight; its bias is an op of its own.
#include "plan/model/ops/contracts.h"

namespace trellis::ops {
namespace {

class Linear final : public OpContract {
  std::string_view kind() const override { return "linear"; }
  Needs needs(const LayerSpec&, const Op& op, Pass pass) const override {
    return reads(op, pass, {pass != Pass::input_gradient});
  }
  bool splits_backward() const override { return true; }
  bool carries_partial() const override { return true; }

  Flops flops(const OpSizes& s, Pass pass) const override {
    const Flops product(2 * product_of_all_dims(s));
    return pass == Pass::backward ? 2 * product : product;
  }

  // The weight gradient's product goes to a tensor of its own before it is added: in bf16 because the gradient is fp32,
  // in fp32 where the library that is faster there does not accumulate. In fp64 the product adds by itself.
  Bytes scratch(const OpSizes& s, Pass pass) const override {
    const bool weight = pass == Pass::weight_gradient || pass == Pass::backward;
    if (!weight || s.dtype == Dtype::f64 || (s.dtype == Dtype::f32 && s.products_in_place)) return Bytes(0);
    return size_of(s.dtype) * parameter_elements(s, 0);
  }
};

}  // namespace

ContractPtr linear_contract() { return std::make_shared<Linear>(); }

}  // namespace trellis::ops
