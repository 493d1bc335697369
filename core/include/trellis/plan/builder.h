// Builds a LayerSpec op by op, the way a paper writes a layer. Used by model families.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"

namespace trellis {

// Handles are ValueIds of the layer under construction. Dims are named by strings; all that a layer uses are passed to
// the constructor. A linear's weight is [out dims..., in dims...]; its bias is an op of its own, after the sum, in
// region residual when the output is a residual value (last dim hidden), else in region linear.
class TRELLIS_API LayerBuilder {
 public:
  using Names = std::vector<std::string>;
  LayerBuilder(std::string type, std::vector<Dim> dims);

  ValueId input(std::string name, const Names& dims);                 // arrives over the edge
  ValueId field(std::string name, const Names& dims);                 // integer batch field
  void output(std::string name, ValueId);                             // leaves over the edge under that name
  void loss(ValueId);

  // b s -> b s h (table [rows, hidden]); region linear for a vocabulary, residual for positions.
  ValueId embedding(std::string name, ValueId ids, std::string rows, std::string region, double init_std, std::string shared = {});
  ValueId layer_norm(std::string name, ValueId x, double eps, bool bias = true);
  ValueId rms_norm(std::string name, ValueId x, double eps);
  // Contracts the trailing `contracted` dims of x (default: all that are not batch or sequence) into `out` dims.
  ValueId linear(std::string name, ValueId x, const Names& out, bool bias, double init_std);
  ValueId rotary(std::string name, ValueId x, ValueId positions, double theta);
  // q: b s g r d; k, v: b s g d -> b s g r d
  ValueId attention(std::string name, ValueId q, ValueId k, ValueId v, bool causal, double dropout);
  ValueId gelu(std::string name, ValueId x, bool tanh);
  ValueId silu(std::string name, ValueId x);
  ValueId multiply(std::string name, ValueId x, ValueId y);
  ValueId add(std::string name, ValueId x, ValueId y);
  ValueId dropout(std::string name, ValueId x, double p);             // p = 0: x itself, no op
  // Head product and cross-entropy in chunks of tokens: b s h, table [v h], labels b s -> scalar sum over counted
  // tokens (label >= 0) divided by the step's global count. Gradients are made in forward.
  ValueId cross_entropy(std::string name, ValueId x, ValueId labels, std::string vocab, std::int64_t real_vocab,
                        double init_std, std::string shared = {});

  LayerSpec build();

 private:
  DimId dim(std::string_view name) const;
  ValueId value(std::string name, std::vector<DimId> dims, ValueKind kind = ValueKind::real);
  ParameterId parameter(Parameter);
  ValueId op(Op, std::vector<DimId> out_dims);
  LayerSpec spec_;
};

}  // namespace trellis
