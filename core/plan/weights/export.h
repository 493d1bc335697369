// Writes a folder of public weights: config.json, model.safetensors or shards with their index, and what stood beside
// the weights that the model came from (tokenizer, settings of generation).
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/weights/safetensors.h"
#include "plan/weights/weight_reader.h"
#include "trellis/plan/catalog.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"
#include "trellis/plan/units.h"
#include "trellis/plan/weights.h"

namespace trellis {

struct ExportOptions {
  Bytes shard{5'000'000'000};  // the most of one file, unless a tensor alone has more; the public library's default
};

// Before hours of work: throws Error where the folder could not be made, or has something in it.
TRELLIS_API void check_export_folder(const std::filesystem::path& folder);

// Everything is written beside the folder and becomes it in commit(); without, nothing is left behind. All space on
// disk is taken in the constructor.
class TRELLIS_API WeightExport {
 public:
  // `dtypes` are those of the tensors, by canonical name, in the format's words ("F32").
  WeightExport(std::filesystem::path folder, const WeightMap& map, const std::map<std::string, std::string>& dtypes,
               const ExportOptions& options = {});
  ~WeightExport();
  WeightExport(const WeightExport&) = delete;
  WeightExport& operator=(const WeightExport&) = delete;

  // A parameter, whole and with its padding, row by row, in the dtype of the tensors that it goes to.
  void write(const std::string& parameter, std::span<const std::byte> elements);
  std::span<std::byte> bytes(const std::string& tensor);  // to be filled instead, by canonical name
  void add_file(const std::string& name, const std::string& content);
  void copy_files(const std::filesystem::path& from);  // those beside the weights that are not of this model's making
  void commit();

 private:
  std::filesystem::path folder_, temporary_;
  WeightMap map_;
  std::map<std::string, std::string> dtypes_;
  std::vector<std::unique_ptr<SafetensorsWriter>> shards_;
  std::map<std::string, std::size_t> shard_of_;
  std::vector<std::string> names_;  // of the shards
  std::size_t total_ = 0;
};

// A config.json for a model: the one that it came with (`original`, may be empty), with what has changed since. Where
// nothing has, it is the original, byte for byte. `dtype` is that of most tensors. `new_head`: the model has one that the
// original has not, so it is of another class of the public library.
TRELLIS_API std::string exported_config(const PublicWeights& family, const Options& options,
                                        const CanonicalFolder* original, const std::string& dtype,
                                        bool new_head = false);

// Before hours of work: throws Error (placed at `export`) where begin_export would, for want of a folder or of a public
// model type for the model. Nothing where the run exports nothing.
TRELLIS_API void check_export(const RunFile&, const ModelSpec&, const Catalog&);

// What a run leaves in its export folder, all but the parameters, which are still to be written in `dtype`. `start`,
// the weights that it began with, may be null. `class_names`, by label, are those of the data where it has any.
TRELLIS_API std::unique_ptr<WeightExport> begin_export(const RunFile&, const ModelSpec&, const Catalog&,
                                                       const WeightReader* start, Dtype dtype,
                                                       const std::vector<std::string>& class_names = {});

// A config.json whose id2label and label2id, if it has them, say these names; labels behind them keep theirs.
TRELLIS_API std::string with_class_names(const std::string& config, const std::vector<std::string>& names);

// An imported folder written anew: canonical names, one copy of what is tied, no buffers, no head that it has not. `dtype` ("F32", "BF16",
// "F64") for all tensors; empty: each in its own.
TRELLIS_API void export_folder(const WeightReader& weights, const PublicWeights& family, const Options& options,
                               const std::filesystem::path& to, const std::string& dtype, const ExportOptions&);

}  // namespace trellis
