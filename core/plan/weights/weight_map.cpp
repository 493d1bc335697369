#include "trellis/plan/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

std::int64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::int64_t result = 1;
  for (std::size_t d = begin; d < end; ++d) result *= shape[d];
  return result;
}

// How many leading dims of a parameter are rows: what its op yields, or for a table the first.
std::size_t row_dims(const LayerSpec& layer, ParameterId id) {
  const Parameter& parameter = layer.parameters[static_cast<std::size_t>(id)];
  for (const Op& op : layer.ops) {
    if (op.kind != "linear" || std::find(op.parameters.begin(), op.parameters.end(), id) == op.parameters.end())
      continue;
    const auto& out = layer.values[static_cast<std::size_t>(op.output)].dims;
    return static_cast<std::size_t>(std::count_if(parameter.dims.begin(), parameter.dims.end(), [&](DimId d) {
      return std::find(out.begin(), out.end(), d) != out.end();
    }));
  }
  return parameter.dims.size() == 2 && layer.dims[static_cast<std::size_t>(parameter.dims[1])].role == kHidden
             ? 1
             : parameter.dims.size();
}

ParameterId find(const LayerSpec& spec, int layer, std::string_view name) {
  const auto found = std::find_if(spec.parameters.begin(), spec.parameters.end(),
                                  [&](const Parameter& parameter) { return parameter.name == name; });
  if (found == spec.parameters.end())
    fail(ExitCode::failure, "weights: layer {} ({}) has no parameter '{}'", layer, spec.type, name);
  return static_cast<ParameterId>(found - spec.parameters.begin());
}

// Strides of dims flattened into one, whose last one has the stride `inner`.
void flatten(const Shape& shape, std::size_t begin, std::size_t end, std::int64_t inner, Shape& strides) {
  for (std::size_t d = end; d-- > begin;) {
    strides[d] = inner;
    inner *= shape[d];
  }
}

}  // namespace

WeightTensors::~WeightTensors() = default;
PublicWeights::~PublicWeights() = default;

std::string full_name(int layer, const Parameter& parameter) {
  return parameter.shared.empty() ? fmt::format("layers.{}.{}", layer, parameter.name) : parameter.shared;
}

WeightMap::WeightMap(const ModelSpec& model) : layers_(model.layers) {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    for (const Parameter& parameter : layers_[i]->parameters)
      shapes_[full_name(static_cast<int>(i), parameter)] = layers_[i]->shape(parameter.dims, 0);
}

void WeightMap::add_reshaped(int layer, std::string_view name, std::string tensor, Shape shape) {
  const LayerSpec& spec = *layers_.at(static_cast<std::size_t>(layer));
  const Parameter& parameter = spec.parameters[static_cast<std::size_t>(find(spec, layer, name))];
  WeightPiece piece;
  piece.parameter = full_name(layer, parameter);
  piece.extent = spec.shape(parameter.dims, 0);
  piece.begin.assign(piece.extent.size(), 0);
  piece.tensor = std::move(tensor);
  piece.shape = std::move(shape);
  piece.strides.resize(piece.extent.size());
  flatten(piece.extent, 0, piece.extent.size(), 1, piece.strides);
  add(std::move(piece));
}

void WeightMap::add(int layer, std::string_view name, std::string tensor, const WeightForm& form) {
  const LayerSpec& spec = *layers_.at(static_cast<std::size_t>(layer));
  const ParameterId id = find(spec, layer, name);
  const Parameter& parameter = spec.parameters[static_cast<std::size_t>(id)];
  const Shape whole = spec.shape(parameter.dims, 0);
  const std::size_t split = row_dims(spec, id);

  WeightPiece piece;
  piece.parameter = full_name(layer, parameter);
  piece.begin.assign(whole.size(), 0);
  piece.extent = whole;
  if (form.rows > 0) piece.extent.at(0) = form.rows;
  const std::int64_t rows = product(piece.extent, 0, split), columns = product(whole, split, whole.size());
  const std::int64_t all_rows = form.of > 0 ? form.of : rows;
  const bool is_matrix = split < whole.size();
  piece.head = form.head;
  piece.tensor = std::move(tensor);
  piece.strides.resize(whole.size());
  if (form.transposed) {
    piece.shape = {columns, all_rows};
    flatten(piece.extent, 0, split, 1, piece.strides);
    flatten(piece.extent, split, whole.size(), all_rows, piece.strides);
    piece.offset = form.first;
  } else {
    piece.shape = is_matrix ? Shape{all_rows, columns} : Shape{all_rows};
    flatten(piece.extent, 0, split, columns, piece.strides);
    flatten(piece.extent, split, whole.size(), 1, piece.strides);
    piece.offset = form.first * columns;
  }
  add(std::move(piece));
}

void WeightMap::add(WeightPiece piece) {
  const auto found = shapes_.find(piece.parameter);
  if (found == shapes_.end()) fail(ExitCode::failure, "weights: the model has no parameter '{}'", piece.parameter);
  const Shape& shape = found->second;
  const auto reject = [&](std::string_view what) {
    fail(ExitCode::failure, "weights: a piece of '{}' from '{}' {}", piece.parameter, piece.tensor, what);
  };
  if (piece.begin.size() != shape.size() || piece.extent.size() != shape.size() || piece.strides.size() != shape.size())
    reject("has another number of dims");
  std::int64_t last = piece.offset;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (piece.begin[d] < 0 || piece.extent[d] < 1 || piece.begin[d] + piece.extent[d] > shape[d])
      reject("is not within it");
    if (piece.strides[d] < 0) reject("has a negative stride");
    last += (piece.extent[d] - 1) * piece.strides[d];
  }
  if (piece.offset < 0 || last >= elements(piece.shape)) reject("reaches beyond the tensor");
  pieces_.push_back(std::move(piece));
}

void WeightMap::duplicate(std::string name, std::string tensor) {
  duplicates_.emplace(std::move(name), std::move(tensor));
}

void WeightMap::unused(std::string prefix, std::string why) { unused_.emplace(std::move(prefix), std::move(why)); }

void WeightMap::grid(std::string tensor, std::int64_t before) { grids_.emplace(std::move(tensor), before); }

void WeightMap::check() const {
  std::set<std::string> there;
  std::map<std::string, std::pair<Shape, std::int64_t>> covered;  // of each tensor: its shape, elements of its pieces
  for (const WeightPiece& piece : pieces_) {
    there.insert(piece.parameter);
    const auto [tensor, is_new] = covered.try_emplace(piece.tensor, piece.shape, 0);
    if (tensor->second.first != piece.shape)
      fail(ExitCode::failure, "weights: tensor '{}' has two shapes: [{}] and [{}]", piece.tensor,
           fmt::join(tensor->second.first, " "), fmt::join(piece.shape, " "));
    tensor->second.second += elements(piece.extent);
  }
  for (const auto& [name, shape] : shapes_)
    if (!there.contains(name))
      throw Error(ExitCode::failure, fmt::format("weights: parameter '{}' is in no tensor", name),
                  "add it to the family's WeightMap (PublicWeights::map)");
  for (const auto& [name, tensor] : covered)
    if (tensor.second != elements(tensor.first))
      fail(ExitCode::failure, "weights: tensor '{}' has {} elements, its pieces {}", name, elements(tensor.first),
           tensor.second);
}

}  // namespace trellis
