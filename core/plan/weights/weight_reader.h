// Parameters of a model out of a folder of public weights, box by box: each rank reads the elements that it holds, and
// of the mapped files no more than these are ever loaded.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plan/weights/folder.h"
#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"
#include "trellis/plan/model_family.h"
#include "trellis/plan/weights.h"

namespace trellis {

// Immutable, thread-safe.
class TRELLIS_API WeightReader {
 public:
  // Checks that the folder has what the map needs, in the shapes that it needs, and nothing else but what may go. Throws Error that
  // lists what does not fit.
  WeightReader(CanonicalFolder folder, WeightMap map);
  // For a model that `family` describes for `options`. Error (unsupported) where it knows no public weights.
  static std::shared_ptr<const WeightReader> open(const std::filesystem::path& folder, const ModelFamily& family,
                                                  const Options& options, const ModelSpec& model);

  // Whether the files have a parameter; else it is of a new head, and starts from initial weights.
  bool has(const std::string& parameter) const { return pieces_.contains(parameter); }
  // Elements [first, last) of a box of a parameter, counted row by row within the box. Padding is 0.
  void read(const std::string& parameter, const Box& box, std::int64_t first, std::int64_t last, double* out) const;

  const CanonicalFolder& folder() const { return folder_; }
  const WeightMap& map() const { return map_; }
  // What the folder has and the model does not need, and why it may go: names in the files, reasons.
  const std::map<std::string, std::string>& dropped() const { return dropped_; }
  // Heads that are new, and what the files have of them.
  const std::map<std::string, std::string>& fresh() const { return fresh_; }
  // Tensors by canonical name whose positions were resampled, and from what to what.
  const std::map<std::string, std::string>& resampled() const { return resampled_; }

 private:
  void find_heads();
  void take_pieces();
  void drop_duplicates();
  void drop_unused();
  void resample_grids();
  void check_tensors() const;
  CanonicalFolder folder_;
  WeightMap map_;
  std::map<std::string, std::vector<WeightPiece>> pieces_;  // by parameter
  std::map<std::string, std::string> dropped_, fresh_, resampled_;
};

// The power of a family to read public weights. Error (unsupported) where it has none.
TRELLIS_API const PublicWeights& public_weights(const ModelFamily&, const std::string& name);

// Where the tensors of a model are, all of them. Error (plugin) where the family called `name` leaves any out.
TRELLIS_API WeightMap whole_map(const PublicWeights&, const std::string& name, const Options&, const ModelSpec&);

}  // namespace trellis
