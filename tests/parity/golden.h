// A golden folder: a public model, the batch it was given, its loss, its outputs and its gradients.
#pragma once

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plan/weights/safetensors.h"
#include "support/paths.h"
#include "trellis/plan/files.h"
#include "trellis/run/data_source.h"

namespace trellis::test {

inline std::filesystem::path golden_path(const std::string& name) {
  return testing::source_dir() / "tests/parity/golden" / name;
}

// The batch of a golden folder, whole: one micro-batch on one rank asks for nothing else.
class GoldenSource final : public DataSource {
 public:
  explicit GoldenSource(const nlohmann::json& fields) : fields_(fields) {}

  std::int64_t batch() const override { return static_cast<std::int64_t>(fields_.at("labels").size()); }
  at::Tensor field(const FieldRequest& r) const override {
    const nlohmann::json& rows = fields_.at(r.name);
    REQUIRE_MESSAGE(static_cast<std::int64_t>(rows.size()) == r.row_end - r.row_begin, r.name);
    REQUIRE_MESSAGE(static_cast<std::int64_t>(rows[0].size()) == r.position_end - r.position_begin, r.name);
    if (!rows[0][0].is_array()) return of<std::int64_t>(rows, at::kLong, {batch(), -1});
    return of<float>(rows, at::kFloat, {batch(), static_cast<std::int64_t>(rows[0].size()), -1});
  }
  std::int64_t counted_items(std::int64_t, std::string_view labels) const override {
    std::int64_t count = 0;
    for (const auto& row : fields_.at(std::string(labels)))
      for (const auto& label : row) count += label.get<std::int64_t>() >= 0;
    return count;
  }

 private:
  template <class T>
  static at::Tensor of(const nlohmann::json& rows, at::ScalarType type, const std::vector<std::int64_t>& shape) {
    std::vector<T> values;
    const std::function<void(const nlohmann::json&)> add = [&](const nlohmann::json& value) {
      if (value.is_array()) for (const auto& item : value) add(item);
      else values.push_back(value.get<T>());
    };
    add(rows);
    return at::tensor(values, at::TensorOptions(type)).view(shape);
  }
  nlohmann::json fields_;
};

inline nlohmann::json read_golden(const std::string& name) {
  return nlohmann::json::parse(read_file(golden_path(name) / "golden.json"));
}

// F32, BF16 or F64, as float64.
inline at::Tensor tensor_of(const TensorView& view) {
  const auto type = view.dtype == "F64" ? at::kDouble : view.dtype == "BF16" ? at::kBFloat16 : at::kFloat;
  const at::Tensor tensor = at::empty(view.shape, type);
  REQUIRE(tensor.nbytes() == view.bytes.size());
  std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor.to(at::kDouble);
}

}  // namespace trellis::test
