// Builds a LayerSpec op by op, the way a paper writes a layer. Used by model families.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/rotary.h"

namespace trellis {

// Handles are ValueIds of the layer under construction. Dims are named by strings; all that a layer uses are passed to
// the constructor. A linear's weight is [out dims..., in dims...]; its bias is an op of its own, after the sum.
// Pointwise ops and biases lie in region residual when their value is a residual one (last dim of role hidden), else in
// region linear. Every method throws Error where the dims of its arguments do not fit.
class TRELLIS_API LayerBuilder {
 public:
  using Names = std::vector<std::string>;
  LayerBuilder(std::string type, std::vector<Dim> dims);

  ValueId input(std::string name, const Names& dims);  // arrives over the edge
  ValueId field(std::string name, const Names& dims);  // integer batch field
  void output(std::string name, ValueId);              // leaves over the edge under that name
  void loss(ValueId);

  // b s -> b s h (table [rows, hidden]); region linear for a vocabulary, residual for positions.
  ValueId embedding(std::string name, ValueId ids, std::string rows, std::string region, double init_std,
                    std::string shared = {});
  ValueId layer_norm(std::string name, ValueId x, double eps, bool bias = true);
  ValueId rms_norm(std::string name, ValueId x, double eps);
  // Contracts all dims of x that are not batch or sequence into the `out` dims. Names never are both contracted and
  // kept: a product from "hidden" to "hidden" needs a dim "hidden_in" of the same size, which the contracted one is
  // called.
  ValueId linear(std::string name, ValueId x, const Names& out, bool bias, double init_std);
  ValueId rotary(std::string name, ValueId x, ValueId positions, double theta, const RotaryScaling& = {});
  // q: b s g r d; k, v: b t g d -> b s g r d. Where the keys' dim is the queries' own (self-attention), the keys' is
  // called "keys", a dim of the same role and size.
  ValueId attention(std::string name, ValueId q, ValueId k, ValueId v, bool causal, double dropout);
  ValueId gelu(std::string name, ValueId x, bool tanh);
  ValueId silu(std::string name, ValueId x);
  ValueId multiply(std::string name, ValueId x, ValueId y);
  ValueId add(std::string name, ValueId x, ValueId y);
  ValueId dropout(std::string name, ValueId x, double p);  // p = 0: x itself, no op
  // Head product and cross-entropy in chunks of tokens: b s h, table [v h], labels b s -> scalar sum over counted
  // tokens (label >= 0) divided by the step's global count. Gradients are made in forward.
  ValueId cross_entropy(std::string name, ValueId x, ValueId labels, std::string vocab, std::int64_t real_vocab,
                        double init_std, std::string shared = {}, std::int64_t chunk = 1024);

  // Checks the layer and drops the dims that it does not use, so that its roles are those it has. Throws Error.
  LayerSpec build();

 private:
  DimId dim(std::string_view name) const;
  ValueId value(std::string name, std::vector<DimId> dims, ValueKind kind = ValueKind::real);
  ParameterId parameter(Parameter);
  ValueId op(Op, std::vector<DimId> out_dims);
  LayerSpec spec_;
};

}  // namespace trellis
