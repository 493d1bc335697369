// The core's own op contracts, one a file, and what they share.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "trellis/plan/op.h"

namespace trellis::ops {

using ContractPtr = std::shared_ptr<const OpContract>;

ContractPtr add_contract();
ContractPtr attention_contract();
ContractPtr bias_at_contract();
ContractPtr bias_contract();
ContractPtr cross_entropy_contract();
ContractPtr dropout_contract();
ContractPtr embedding_contract();
ContractPtr gelu_contract();
ContractPtr layer_norm_contract();
ContractPtr linear_contract();
ContractPtr multiply_contract();
ContractPtr pick_contract();
ContractPtr relu_contract();
ContractPtr rms_norm_contract();
ContractPtr rotary_contract();
ContractPtr scale_contract();
ContractPtr silu_contract();
ContractPtr tanh_contract();

std::vector<ContractPtr> core_contracts();

// --- for contracts ---

inline const std::vector<DimId>& output_dims(const LayerSpec& layer, const Op& op) {
  return layer.values.at(static_cast<std::size_t>(op.output)).dims;
}

inline std::int64_t output_elements(const OpSizes& s) { return s.elements(output_dims(*s.layer, *s.op)); }

inline std::int64_t input_elements(const OpSizes& s, std::size_t input) {
  return s.elements(s.op->input_dims.at(input));
}

// Local elements of one parameter, or of all.
inline std::int64_t parameter_elements(const OpSizes& s, std::size_t parameter) {
  return s.elements(s.layer->parameters.at(static_cast<std::size_t>(s.op->parameters.at(parameter))).dims);
}
inline std::int64_t parameter_elements(const OpSizes& s) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < s.op->parameters.size(); ++i) sum += parameter_elements(s, i);
  return sum;
}

// The product of all dims that an op names, each once: the multiply-adds of a product.
std::int64_t product_of_all_dims(const OpSizes& s);

// Statistics and gradients are fp32, or fp64 in a run in fp64.
inline Dtype statistics_dtype(Dtype compute) { return compute == Dtype::f64 ? Dtype::f64 : Dtype::f32; }

// Backward of a norm sums the parameters' gradients over up to 16 parts of the rows, which it then adds up in order.
inline Bytes norm_partial_sums(const OpSizes& s) {
  const std::int64_t rows = output_elements(s) / std::max<std::int64_t>(1, s.elements({s.op->input_dims.at(0).back()}));
  const std::int64_t parts = std::clamp<std::int64_t>(rows / 64, 1, 16);
  return size_of(statistics_dtype(s.dtype)) * (parts * parameter_elements(s));
}

inline bool has(const std::vector<DimId>& dims, DimId d) {
  return std::find(dims.begin(), dims.end(), d) != dims.end();
}

// Whether bf16 attention over so many local keys is computed by LibTorch's fused kernel for the CPU.
TRELLIS_API bool fused_attention(const LayerSpec&, const Op&, std::int64_t keys, bool backward);

// What most contracts say: forward reads all inputs; backward reads those named here.
inline Needs reads(const Op& op, Pass pass, std::vector<bool> inputs, bool output = false, bool extras = false) {
  if (pass == Pass::forward) return {.inputs = std::vector<bool>(op.inputs.size(), true)};
  inputs.resize(op.inputs.size(), false);
  return {.inputs = std::move(inputs), .output = output, .extras = extras};
}

}  // namespace trellis::ops
