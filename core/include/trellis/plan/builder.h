// Builds a LayerSpec op by op, the way a paper writes a layer. Used by model families.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/rotary.h"

namespace trellis {

struct AttentionOptions {
  bool causal = false;          // a query sees no key after its own position
  std::int64_t window = 0;      // of a causal one: so many keys, a query's own included (Beltagy et al. 2020); 0: all
  double dropout = 0;           // of the probabilities
  ValueId mask = -1;            // integer field over batch and sequence of k as it is given (not "keys"): where it is
                                // 0, nobody sees the key
  double scale = 0;             // of the scores; 0: 1 / sqrt(head_dim)
  // A trainable bias by distance from query to key (Raffel et al. 2020, T5): a table [buckets heads]. Half of the buckets
  // are for exact distances, the rest grow logarithmically up to max_distance. Empty: none.
  std::string buckets;          // the dim of the table's rows
  std::int64_t max_distance = 128;
  double bias_std = 0.02;
  std::string shared;           // the table's global name
};

// Handles are ValueIds of the layer under construction. Dims are named by strings; all that a layer uses are passed to
// the constructor. A linear's weight is [out dims..., in dims...]; its bias is an op of its own, after the sum.
// Pointwise ops and biases lie in region residual when their value is a residual one (last dim of role hidden), else in
// region linear. Every method throws Error where the dims of its arguments do not fit.
class TRELLIS_API LayerBuilder {
 public:
  using Names = std::vector<std::string>;
  LayerBuilder(std::string type, std::vector<Dim> dims);

  ValueId input(std::string name, const Names& dims);  // arrives over the edge
  ValueId field(std::string name, const Names& dims, ValueKind = ValueKind::integer);  // batch field
  void output(std::string name, ValueId);              // leaves over the edge under that name
  void loss(ValueId);                                  // one more term of the model's loss

  // b s -> b s h (table [rows, hidden]); region linear for a vocabulary, residual for positions. Looking up `untrained`
  // leaves its row no gradient (padding_idx of torch.nn.Embedding); -1: there is none such.
  ValueId embedding(std::string name, ValueId ids, std::string rows, std::string region, double init_std,
                    std::string shared = {}, std::int64_t untrained = -1);
  ValueId layer_norm(std::string name, ValueId x, double eps, bool bias = true);
  ValueId rms_norm(std::string name, ValueId x, double eps);
  // Contracts all dims of x that are not batch or sequence into the `out` dims. Names never are both contracted and
  // kept: a product from "hidden" to "hidden" needs a dim "hidden_in" of the same size, which the contracted one is
  // called. A product without a dim of role heads, ffn or vocab lies in region residual: nobody would gather for it.
  ValueId linear(std::string name, ValueId x, const Names& out, bool bias, double init_std);
  ValueId rotary(std::string name, ValueId x, ValueId positions, double theta, const RotaryScaling& = {});
  // q: b s g r d; k, v: b t g d -> b s g r d. Where the keys' dim is the queries' own (self-attention), the keys' is
  // called "keys", a dim of the same role and size; with two sequences "<dim>_keys".
  // Keys that only pad the sequence are seen by nobody.
  ValueId attention(std::string name, ValueId q, ValueId k, ValueId v, const AttentionOptions&);
  // Adds a parameter over the last dim at positions [first, last) of the sequence; last < 0: to its end.
  ValueId bias_at(std::string name, ValueId x, std::int64_t first, std::int64_t last, Parameter::Init, double init_std = 0.02);
  // b s X.. -> b X..: the token at a position; a contraction over the sequence.
  ValueId pick(std::string name, ValueId x, std::int64_t position);
  ValueId gelu(std::string name, ValueId x, bool tanh);
  ValueId silu(std::string name, ValueId x);
  ValueId relu(std::string name, ValueId x);
  ValueId tanh(std::string name, ValueId x);
  ValueId scale(std::string name, ValueId x, double factor);
  ValueId multiply(std::string name, ValueId x, ValueId y);
  ValueId add(std::string name, ValueId x, ValueId y);
  ValueId dropout(std::string name, ValueId x, double p);  // p = 0: x itself, no op
  // Head product and cross-entropy in chunks of tokens: b s h, table [v h] [, bias v], labels b s -> scalar sum over
  // counted tokens (label >= 0) divided by the step's global count of them, times weight. Gradients are made in forward.
  ValueId cross_entropy(std::string name, ValueId x, ValueId labels, std::string vocab, std::int64_t real_vocab,
                        double init_std, std::string shared = {}, std::int64_t chunk = 1024, bool bias = false,
                        double weight = 1);

  // Checks the layer and drops the dims that it does not use, so that its roles are those it has. Throws Error.
  LayerSpec build();

 private:
  DimId dim(std::string_view name) const;
  ValueId value(std::string name, std::vector<DimId> dims, ValueKind kind = ValueKind::real);
  ParameterId parameter(Parameter);
  ValueId op(Op, std::vector<DimId> out_dims);
  ValueId pointwise(std::string kind, std::string name, ValueId x, std::map<std::string, Attribute> = {});
  LayerSpec spec_;
};

}  // namespace trellis
