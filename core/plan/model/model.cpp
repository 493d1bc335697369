#include "trellis/plan/model.h"

#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/plan/model_family.h"

namespace trellis {

ModelFamily::~ModelFamily() = default;
const void* ModelFamily::extension(std::string_view) const { return nullptr; }

namespace {

// The attribute, or nothing; `read` returns a pointer to the wanted type or nullptr where the attribute has another.
template <class T>
const T* attribute(const Op& op, std::string_view name, std::string_view wanted) {
  const auto found = op.attributes.find(std::string(name));
  if (found == op.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (!value) fail("op '{}' ({}): attribute '{}' is not {}", op.name, op.kind, name, wanted);
  return value;
}

}  // namespace

std::int64_t Op::integer(std::string_view name, std::int64_t otherwise) const {
  const auto* value = attribute<std::int64_t>(*this, name, "an integer");
  return value ? *value : otherwise;
}

double Op::real(std::string_view name, double otherwise) const {
  const auto found = attributes.find(std::string(name));
  if (found != attributes.end()) {
    if (const auto* whole = std::get_if<std::int64_t>(&found->second)) return static_cast<double>(*whole);
  }
  const auto* value = attribute<double>(*this, name, "a number");
  return value ? *value : otherwise;
}

std::string Op::text(std::string_view name, std::string otherwise) const {
  const auto* value = attribute<std::string>(*this, name, "a text");
  return value ? *value : otherwise;
}

const Dim& LayerSpec::dim(std::string_view name) const {
  for (const Dim& d : dims)
    if (d.name == name) return d;
  std::vector<std::string> names;
  for (const Dim& d : dims) names.push_back(d.name);
  throw Error(ExitCode::bad_input, fmt::format("layer '{}' has no dim '{}'", type, name),
              suggestion_hint(name, names, "dims"));
}

bool LayerSpec::is_field(ValueId x) const { return std::find(fields.begin(), fields.end(), x) != fields.end(); }

std::vector<const Dim*> LayerSpec::dims_of_role(std::string_view role) const {
  std::vector<const Dim*> found;
  for (const Dim& d : dims)
    if (d.role == role) found.push_back(&d);
  return found;
}

std::int64_t LayerSpec::parameter_elements(ParameterId id) const {
  return elements(shape(parameters.at(static_cast<std::size_t>(id)).dims, 1));
}

std::int64_t LayerSpec::parameter_elements() const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) sum += parameter_elements(static_cast<ParameterId>(i));
  return sum;
}

Shape LayerSpec::shape(const std::vector<DimId>& ids, std::int64_t batch) const {
  Shape sizes;
  sizes.reserve(ids.size());
  for (DimId id : ids) {
    const Dim& d = dims.at(static_cast<std::size_t>(id));
    sizes.push_back(d.role == kBatch ? batch : d.size);
  }
  return sizes;
}

std::int64_t parameter_elements(const ModelSpec& model) {
  std::int64_t sum = 0;
  std::map<std::string, std::int64_t> shared;
  for (const auto& layer : model.layers) {
    for (std::size_t i = 0; i < layer->parameters.size(); ++i) {
      const Parameter& parameter = layer->parameters[i];
      const std::int64_t count = layer->parameter_elements(static_cast<ParameterId>(i));
      if (parameter.shared.empty()) {
        sum += count;
        continue;
      }
      const auto [entry, first] = shared.emplace(parameter.shared, count);
      if (first) sum += count;
      if (entry->second != count)
        fail("layer '{}': '{}' shares '{}', which has {} elements elsewhere and {} here", layer->type, parameter.name,
             parameter.shared, entry->second, count);
    }
  }
  return sum;
}

}  // namespace trellis
