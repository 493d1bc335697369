// Public weights of a model family: what a config.json means as options of the family, and where its parameters lie in
// the tensors of *.safetensors files. Implemented by families as an optional power, asked for by id:
//
//   const void* extension(std::string_view id) const override { return id == kPublicWeights ? &weights_ : nullptr; }
//
// Names of tensors are *canonical* here: as the public library writes them today. What older files call them, and what
// they hold besides, canonical() says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"
#include "trellis/plan/model.h"
#include "trellis/plan/options.h"

namespace trellis {

inline constexpr std::string_view kPublicWeights = "trellis.public_weights/1";

// Name of a parameter in the whole model, "layers.3.attn.q.weight"; a shared one has its shared name.
TRELLIS_API std::string full_name(int layer, const Parameter&);

// A box of a parameter as a strided view of a tensor of the files. Elements of a parameter that lie in no box are
// padding: zeros, which no file has.
struct TRELLIS_API WeightPiece {
  std::string parameter;    // full name
  Shape begin, extent;      // the box, by the parameter's dims, unsplit
  std::string tensor;       // canonical name
  Shape shape;              // of the tensor
  std::int64_t offset = 0;  // in the tensor, of the box's first element
  Shape strides;            // in the tensor, by the parameter's dims, in elements
  std::string head;         // not empty: the part of the model that files may lack, see WeightForm
};

// How a tensor has a parameter. The tensor has at most two dims: [rows, columns] for a table or a product's weight,
// rows being what a product yields, and one dim for the rest; the parameter's own dims are flattened into them.
struct WeightForm {
  std::int64_t rows = 0;    // rows of the parameter that the files have, the others being padding; 0: all
  bool transposed = false;  // the tensor is [columns, rows] (GPT-2's Conv1D)
  std::int64_t first = 0;   // where several parameters are one tensor: the first of its rows that is this one's,
  std::int64_t of = 0;      // and how many there are; 0: it is this parameter's alone
  // Not empty: the tensor is of a head so called ("classifier"). Where files have none of its tensors, or have it with
  // another number of rows, all of the head is new: it starts from initial weights.
  std::string head = {};
};

// Where all parameters of a model are in the files. Errors here are the family's mistakes (ExitCode::failure).
class TRELLIS_API WeightMap {
 public:
  explicit WeightMap(const ModelSpec&);

  // A parameter of a layer by its name within the layer. A parameter that several layers share is added once.
  void add(int layer, std::string_view parameter, std::string tensor, const WeightForm& form = {});
  // The same where the tensor has other dims, and its elements lie in the same order.
  void add_reshaped(int layer, std::string_view parameter, std::string tensor, Shape shape);
  void add(WeightPiece piece);  // any other form
  // Files may have `tensor` a second time under another name, equal bit for bit: a tied head, written out. Where `name`
  // is a tensor of the model, too, files may have either, or both, and then they may differ.
  void duplicate(std::string name, std::string tensor);
  // Files may have tensors whose names begin so, and this model does not use them: why ("the head of another task").
  void unused(std::string prefix, std::string why);
  // Of a tensor's rows (its last dim but one) those after the first `before` are a square grid of positions, row by row.
  // Files may have the grid in another size; then it is resampled, bicubically, as the public library does.
  void grid(std::string tensor, std::int64_t before);

  // In the order added, which is that of tensors in files that are written.
  const std::vector<WeightPiece>& pieces() const { return pieces_; }
  const std::map<std::string, std::string>& duplicates() const { return duplicates_; }
  const std::map<std::string, std::string>& unused() const { return unused_; }     // by prefix
  const std::map<std::string, std::int64_t>& grids() const { return grids_; }      // by tensor
  const std::map<std::string, Shape>& parameters() const { return shapes_; }  // of the model; shapes are unsplit
  // Throws Error unless every parameter has a piece and every tensor consists of its pieces, element for element.
  void check() const;

 private:
  std::vector<std::shared_ptr<const LayerSpec>> layers_;
  std::map<std::string, Shape> shapes_;
  std::vector<WeightPiece> pieces_;
  std::map<std::string, std::string> duplicates_, unused_;
  std::map<std::string, std::int64_t> grids_;
};

// What a family may ask about the tensors of a folder, by canonical name.
class TRELLIS_API WeightTensors {
 public:
  virtual ~WeightTensors();
  virtual bool has(std::string_view tensor) const = 0;
  virtual Shape shape(std::string_view tensor) const = 0;                     // Error where there is none
  virtual bool equal(std::string_view tensor, std::string_view other) const = 0;  // both there, and equal bit for bit
};

// A tensor's name in a file, understood.
struct CanonicalName {
  std::string name;     // canonical
  std::string dropped;  // not empty: no parameter is of this tensor, and why: "a causal mask, which is computed"
};

struct ConfigReading {
  Options options = Options::empty();  // the family's
  std::vector<std::string> notes;      // for people: what was decided, a sentence each
};

// Pure and thread-safe.
class TRELLIS_API PublicWeights {
 public:
  virtual ~PublicWeights();
  // Values of `model_type` in a config.json that it reads: "gpt2", "llama".
  virtual std::vector<std::string> model_types() const = 0;
  virtual CanonicalName canonical(std::string_view tensor) const = 0;
  // Reads all keys that are about the model; the caller reads those that every config.json may have (kinds of tokens,
  // settings of generation ...) and rejects the rest. null counts as not there. Whether tables are tied is told by the
  // tensors. Throws Error at the place of what the family cannot express, with what it can.
  virtual ConfigReading read_config(const Options& config, const WeightTensors&) const = 0;
  // A config.json for these options of the family, as a JSON object. Throws Error (unsupported) with the reason where
  // no public model type computes the same.
  virtual std::string write_config(const Options&) const = 0;
  // `model` is what the family describes for these options.
  virtual WeightMap map(const Options&, const ModelSpec& model) const = 0;
};

}  // namespace trellis
