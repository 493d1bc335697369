// An operation, without tensors: what planning must know. Its twin that computes is an OpKernel (run/kernel.h).
//
// The derivation asks a contract how each dim may be split, what backward needs, and what it costs. Contracts are
// const and thread-safe; sizes are local (after splitting). Times are never here: they are measured.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/units.h"

namespace trellis {

enum class DimUse {
  pointwise,   // may be split anywhere
  contracted,  // splitting it leaves a Partial output
  internal,    // splitting it needs the op's own moves (OpContract::inner_moves); the output is not Partial
  whole,       // may not be split
};

enum class Pass { forward, input_gradient, weight_gradient, backward };  // backward = both gradients in one kernel
TRELLIS_API std::string_view name_of(Pass);

struct Needs {                  // what a backward pass reads besides the output's gradient and the parameters
  std::vector<bool> inputs;     // by input
  bool output = false;
  bool extras = false;
};

struct Extra {                  // a further output of forward that backward reads: a norm's statistics, attention's log-sum-exp
  std::string name;
  std::vector<DimId> dims;
  Dtype dtype = Dtype::f32;
  bool compute_dtype = false;   // true: in the run's compute dtype instead
};

struct OpSizes {                // an op under a placement
  const LayerSpec* layer = nullptr;
  const Op* op = nullptr;
  std::vector<std::int64_t> size;      // local size by DimId
  std::vector<AxisList> axes;          // by DimId
  std::vector<int> degree;             // by DimId: how many ways it is split
  Dtype dtype = Dtype::f32;            // compute dtype
  bool products_in_place = true;       // f32 products add into a given buffer; else they make a tensor of their own first
  int threads = 1;                     // of a rank, on a CPU: some kernels have scratch for each

  std::int64_t elements(const std::vector<DimId>& dims) const;
};

struct InnerMove {              // communication inside a kernel: declared, priced, and asserted by a debug run
  MoveKind kind = MoveKind::all_gather;
  AxisList axes;
  Bytes bytes{0};               // received by one rank, in all `count` of them
  int count = 1;
};

enum class FieldKind {
  ids,        // rows of a table, from 0 to below `values`
  positions,  // of the token in its sequence
  labels,     // from 0 to below `values`; negative ones do not count
  mask,       // 1: a token that is there; 0: padding, which nobody sees
  real,       // numbers of the compute dtype
};

struct FieldRange {             // what an op expects of a batch field
  FieldKind kind = FieldKind::ids;
  std::int64_t values = 0;
};

class TRELLIS_API OpContract {
 public:
  virtual ~OpContract();
  virtual std::string_view kind() const = 0;
  virtual DimUse use(const LayerSpec&, const Op&, DimId) const;   // default: absent from the output = contracted
  virtual Needs needs(const LayerSpec&, const Op&, Pass) const = 0;
  virtual std::vector<Extra> extras(const LayerSpec&, const Op&) const;
  virtual bool splits_backward() const;        // input and weight gradient are two kernels
  virtual bool passes_gradient() const;        // every real input's gradient is the output's: no kernel, no copy
  virtual bool carries_partial() const;        // linear in its input: takes a gradient Partial over axes that are idle in it
  virtual bool once() const;                   // forward also makes gradients: it is never run again, its outputs are kept
  virtual Flops flops(const OpSizes&, Pass) const;
  virtual Bytes scratch(const OpSizes&, Pass) const;   // transient, beyond the slots
  virtual std::vector<InnerMove> inner_moves(const OpSizes&, Pass) const;
  virtual FieldRange field(const LayerSpec&, const Op&, std::size_t input) const;  // default: ids of its first parameter
};

// The contracts that a derivation can use: the core's own and those that plugins brought.
class TRELLIS_API OpLibrary {
 public:
  OpLibrary();                                     // the core's own ops
  void add(std::shared_ptr<const OpContract>);     // a second contract of one kind is an Error
  const OpContract& find(std::string_view kind) const;  // Error with a suggestion
  std::vector<std::string> kinds() const;

  // Which of two matrix libraries a run uses for f32 decides whether a product needs a temporary (OpSizes). The run
  // side knows; planning assumes that it does not need one.
  void set_products_in_place(bool in_place) { products_in_place_ = in_place; }
  bool products_in_place() const { return products_in_place_; }
  void set_threads(int threads) { threads_ = threads; }
  int threads() const { return threads_; }  // of a rank, on a CPU (OpSizes); one until said otherwise

 private:
  std::map<std::string, std::shared_ptr<const OpContract>, std::less<>> contracts_;
  bool products_in_place_ = true;
  int threads_ = 1;
};

// The batch field whose entries a loss op counts: its first integer input. Error where it has none.
TRELLIS_API std::string_view counted_field(const LayerSpec&, const Op&);

// A batch field of a model, as all ops that read it expect it: what a data source has to fill.
struct FieldSpec {
  FieldRange range;
  std::string sequence;        // the dim that it follows; empty: one entry a sample
  std::int64_t positions = 0;  // size of that dim, unpadded
  std::int64_t features = 0;   // numbers at each position, or of each sample; 0: one
};
// By name. Error where ops take one field in ways that do not agree.
TRELLIS_API std::map<std::string, FieldSpec> fields_of(const ModelSpec&, const OpLibrary&);

}  // namespace trellis
