// What a model family declares: layers as small graphs of operations over named dims. No rank, no tensor.
//
// A LayerSpec is built with LayerBuilder (builder.h). Values are tensors over dims; ops refer to values; parameters
// belong to ops. Index expressions are the lists of dims of an op's inputs, parameters and output.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"

namespace trellis {

// Roles, by which parallelism dimensions split dims. A plugin may add its own.
inline constexpr std::string_view kBatch = "batch", kSequence = "sequence", kHidden = "hidden", kHeads = "heads",
                                  kFfn = "ffn", kVocab = "vocab", kPositions = "positions", kOther = "other";
// Regions, in which a placement may split the same dim differently. A plugin may add its own.
inline constexpr std::string_view kResidual = "residual", kLinear = "linear", kAttention = "attention", kLoss = "loss";

using DimId = int;
using ValueId = int;
using ParameterId = int;

struct Dim {
  std::string name;
  std::string role;
  std::int64_t size = 0;  // 0 for batch: it comes with the micro-batch
  bool operator==(const Dim&) const = default;
};

enum class ValueKind { real, integer };

struct Value {  // integer ones are batch fields
  std::string name;
  std::vector<DimId> dims;
  ValueKind kind = ValueKind::real;
};

struct Parameter {
  enum class Init { normal, zeros, ones };
  std::string name;            // within the layer: "attn.q.weight"
  std::vector<DimId> dims;
  Init init = Init::normal;
  double init_std = 0.02;
  bool weight_decay = true;    // Megatron's rule: products and tables decay, biases and norms do not
  std::string shared;          // not empty: all parameters of this global name are one (tied embeddings)
};

using Attribute = std::variant<std::int64_t, double, std::string>;

struct TRELLIS_API Op {
  std::string kind;  // the name of its OpContract and OpKernel: "linear"
  std::string name;  // within the layer: "attn.q"
  std::string region;
  std::vector<ValueId> inputs;
  std::vector<std::vector<DimId>> input_dims;  // the index expression: may rename a value's dims (keys: t for s)
  ValueId output = -1;
  std::vector<ParameterId> parameters;
  std::map<std::string, Attribute> attributes;

  std::int64_t integer(std::string_view name, std::int64_t otherwise = 0) const;
  double real(std::string_view name, double otherwise = 0) const;
  std::string text(std::string_view name, std::string otherwise = {}) const;
};

struct TRELLIS_API LayerSpec {
  std::string type;  // layers of one type are identical: "embedding", "block", "head"
  std::vector<Dim> dims;
  std::vector<Value> values;
  std::vector<Parameter> parameters;
  std::vector<Op> ops;               // in forward order
  std::vector<ValueId> inputs;       // real values that arrive over the edge, by name
  std::vector<ValueId> outputs;      // real values that leave over the edge
  std::vector<ValueId> fields;       // batch fields (ids, labels, masks, pixels): cut locally, never sent, no gradient
  std::vector<ValueId> losses;       // scalars, in the layer that ends the model: the terms of its loss

  const Dim& dim(std::string_view name) const;
  bool is_field(ValueId) const;
  std::vector<const Dim*> dims_of_role(std::string_view role) const;
  std::int64_t parameter_elements(ParameterId) const;
  std::int64_t parameter_elements() const;
  Shape shape(const std::vector<DimId>& dims, std::int64_t batch) const;
};

struct ModelSpec {
  std::string family;
  std::string summary;                                    // "gpt2 shape, 4 layers, hidden 256"
  std::vector<std::shared_ptr<const LayerSpec>> layers;   // identical layers share one object
  std::int64_t sequence = 0;                              // unpadded tokens in a sample
  std::int64_t vocab = 0;                                 // unpadded
  std::map<std::string, std::string> properties;          // for people
};
TRELLIS_API std::int64_t parameter_elements(const ModelSpec&);  // shared parameters counted once
TRELLIS_API std::string fingerprint(const ModelSpec&);          // 16 hex digits

}  // namespace trellis
