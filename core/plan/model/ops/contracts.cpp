#include "plan/model/ops/contracts.h"

namespace trellis::ops {

std::vector<ContractPtr> core_contracts() {
  return {add_contract(),      attention_contract(), bias_contract(),       bias_at_contract(), cross_entropy_contract(),
          dropout_contract(),  embedding_contract(), gelu_contract(),       layer_norm_contract(), linear_contract(),
          multiply_contract(), pick_contract(),      relu_contract(),       rms_norm_contract(), rotary_contract(),
          scale_contract(),    silu_contract(),      tanh_contract()};
}

std::int64_t product_of_all_dims(const OpSizes& s) {
  std::vector<DimId> named = output_dims(*s.layer, *s.op);
  const auto include = [&](const std::vector<DimId>& dims) {
    for (const DimId d : dims)
      if (!has(named, d)) named.push_back(d);
  };
  for (const auto& dims : s.op->input_dims) include(dims);
  for (const ParameterId p : s.op->parameters) include(s.layer->parameters.at(static_cast<std::size_t>(p)).dims);
  return s.elements(named);
}

}  // namespace trellis::ops
