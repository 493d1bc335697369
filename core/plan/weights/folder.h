// A folder of public weights: config.json, and model.safetensors or its shards with their index.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plan/weights/safetensors.h"
#include "trellis/plan/export.h"
#include "trellis/plan/weights.h"

namespace trellis {

inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kWeightsFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";

struct FoundTensor {
  const SafetensorsFile* file = nullptr;
  const TensorView* view = nullptr;
};

// Opening it checks everything but what the tensors mean. Copies share the mapped files. Thread-safe.
class TRELLIS_API WeightFolder {
 public:
  explicit WeightFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_file() const { return path_ / kConfigFile; }
  const std::string& config_text() const { return config_; }
  std::string model_type() const;  // of config.json; Error where it has none
  const std::map<std::string, FoundTensor>& tensors() const { return tensors_; }  // by the name in the files
  std::size_t files() const { return files_.size(); }

 private:
  void open(const std::filesystem::path& file);
  void read_shards(const std::filesystem::path& index);
  std::filesystem::path path_;
  std::string config_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, FoundTensor> tensors_;
};

// The same with the names that a family understands.
class TRELLIS_API CanonicalFolder final : public WeightTensors {
 public:
  CanonicalFolder(WeightFolder folder, const PublicWeights& family);

  const WeightFolder& folder() const { return folder_; }
  const std::map<std::string, FoundTensor, std::less<>>& tensors() const { return tensors_; }  // by canonical name
  // Names in the files and why no parameter is of them.
  const std::map<std::string, std::string>& dropped() const { return dropped_; }
  const std::map<std::string, std::string>& renamed() const { return renamed_; }  // in the files, canonical

  bool has(std::string_view tensor) const override;
  Shape shape(std::string_view tensor) const override;
  bool equal(std::string_view tensor, std::string_view other) const override;
  const FoundTensor& at(std::string_view tensor) const;  // Error where there is none
  void rename(const std::string& tensor, const std::string& to);  // a canonical name that this model has otherwise
  void copy(const std::string& tensor, const std::string& to);  // the same tensor by a second name
  // Other elements for a tensor, made from those of the file, in float64.
  void replace(const std::string& tensor, Shape shape, std::vector<std::byte> bytes);
  const std::string& dtype_in_file(std::string_view tensor) const;

 private:
  struct Made {
    std::vector<std::byte> bytes;
    TensorView view;
  };
  WeightFolder folder_;
  std::map<std::string, FoundTensor, std::less<>> tensors_;
  std::map<std::string, std::string> dropped_, renamed_;
  std::vector<std::shared_ptr<const Made>> made_;
};

// "a, b, c and 4 more"
TRELLIS_API std::string some_of(const std::vector<std::string>& names);

}  // namespace trellis
