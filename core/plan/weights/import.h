// A folder of public weights as a model of Trellis: which family it is of, its options, and that the tensors fit.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "plan/weights/weight_reader.h"
#include "trellis/plan/catalog.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis {

struct ImportedModel {
  std::string family;  // the plugin
  std::string type;    // model_type of config.json
  Options options = Options::empty();
  std::vector<std::string> notes;
  ModelSpec model;
  std::shared_ptr<const WeightReader> weights;
};

// Families are loaded to see which of them knows the folder's model type.
TRELLIS_API ImportedModel import_model(const std::filesystem::path& folder, const Catalog&);

// What a config.json means to a family; keys that nobody knows are rejected.
TRELLIS_API ConfigReading read_config(const std::string& text, const std::string& name, const PublicWeights&,
                                      const WeightTensors&);

// A run file's part: `model` with all options, and `weights`.
TRELLIS_API std::string model_file(const ImportedModel&, const std::filesystem::path& weights);

// What reading weights made of them beside taking them: heads that are new, positions resampled; a sentence each.
TRELLIS_API std::vector<std::string> changes(const WeightReader&);

// The run file's weights for its model; null where it names none. Errors are placed at `weights`; where the folder has a
// model of another type, they say both.
TRELLIS_API std::shared_ptr<const WeightReader> open_weights(const RunFile&, const ModelSpec&, const Catalog&);

// compare_classes (class_names.h) for the run's weights, which may be null. Errors are placed at `weights`.
TRELLIS_API std::string compare_classes(const RunFile&, const WeightReader*, const std::vector<std::string>& data);

}  // namespace trellis
