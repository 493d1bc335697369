#include "plan/weights/weight_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "plan/plugin/calls.h"
#include "plan/weights/elements.h"
#include "plan/weights/grid.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

[[noreturn]] void reject(const CanonicalFolder& folder, std::string message, std::string hint = {}) {
  throw Error(ExitCode::bad_input, std::move(message), std::move(hint), {folder.folder().path().string()});
}

std::string bracketed(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, " ")); }

// The part of one row of a box that lies in a piece: elements begin .. end of the row, from `at` on in steps of
// `stride`.
struct Run {
  std::int64_t begin = 0, end = 0, at = 0, stride = 1;
};

// `index` is the row's first element in the parameter; the row goes along the last dim.
Run run_in(const WeightPiece& piece, const Shape& index, std::int64_t length) {
  Run run{.at = piece.offset};
  if (index.empty()) return {0, 1, piece.offset, 1};
  const std::size_t last = index.size() - 1;
  for (std::size_t d = 0; d < last; ++d) {
    const std::int64_t within = index[d] - piece.begin[d];
    if (within < 0 || within >= piece.extent[d]) return {};
    run.at += within * piece.strides[d];
  }
  run.begin = std::max<std::int64_t>(0, piece.begin[last] - index[last]);
  run.end = std::min(length, piece.begin[last] + piece.extent[last] - index[last]);
  run.at += (index[last] + run.begin - piece.begin[last]) * piece.strides[last];
  run.stride = piece.strides[last];
  return run;
}

template <class Load>
void copy_elements(const std::byte* from, std::int64_t step, std::int64_t count, double* out, Load load) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = load(from + i * step);
}

void copy(const FoundTensor& tensor, const Run& run, double* out) {
  const auto size = static_cast<std::int64_t>(element_size(tensor.view->dtype));
  const std::byte* from = tensor.view->bytes.data() + run.at * size;
  const std::int64_t step = run.stride * size, count = run.end - run.begin;
  switch (static_cast<ElementType>(element_type(tensor.view->dtype))) {
    case ElementType::f32:
      return copy_elements(from, step, count, out, element::load<float>);
    case ElementType::bf16:
      return copy_elements(from, step, count, out, element::bf16);
    case ElementType::f16:
      return copy_elements(from, step, count, out, element::f16);
    case ElementType::f64:
      return copy_elements(from, step, count, out, element::load<double>);
  }
}

}  // namespace

const PublicWeights& public_weights(const ModelFamily& family, const std::string& name) {
  const void* extension = family.extension(kPublicWeights);
  if (!extension)
    throw Error(ExitCode::unsupported, fmt::format("model '{}' knows no public weights", name),
                "its family declares none (PublicWeights in trellis/plan/weights.h)");
  return *static_cast<const PublicWeights*>(extension);
}

WeightMap whole_map(const PublicWeights& weights, const std::string& name, const Options& options, const ModelSpec& model) {
  try {
    return plugin::call(PluginType::models, name, [&] {
      WeightMap map = weights.map(options, model);
      map.check();
      return map;
    });
  } catch (const Error& error) {
    if (error.code() != ExitCode::failure) throw;
    const std::string defect = plugin::defect_hint(name);
    throw Error(ExitCode::plugin, error.message(), error.hint().empty() ? defect : error.hint() + "; " + defect);
  }
}

WeightReader::WeightReader(CanonicalFolder folder, WeightMap map) : folder_(std::move(folder)), map_(std::move(map)) {
  map_.check();
  dropped_ = folder_.dropped();
  drop_duplicates();
  find_heads();
  drop_unused();
  resample_grids();
  take_pieces();
  check_tensors();
}

std::shared_ptr<const WeightReader> WeightReader::open(const std::filesystem::path& folder, const ModelFamily& family,
                                                       const Options& options, const ModelSpec& model) {
  const PublicWeights& weights = public_weights(family, model.family);
  return std::make_shared<const WeightReader>(CanonicalFolder(WeightFolder(folder), weights),
                                              whole_map(weights, model.family, options, model));
}

// A tensor of which the files have only one of its names is taken by that.
void WeightReader::drop_duplicates() {
  for (const auto& [name, tensor] : map_.duplicates()) {
    const auto is_written = [&, &name = name](const WeightPiece& piece) { return piece.tensor == name; };
    if (std::any_of(map_.pieces().begin(), map_.pieces().end(), is_written)) {
      if (folder_.has(name) && !folder_.has(tensor)) folder_.copy(name, tensor);
      if (folder_.has(tensor) && !folder_.has(name)) folder_.copy(tensor, name);
      continue;
    }
    if (!folder_.has(name)) continue;
    if (!folder_.has(tensor)) {
      folder_.rename(name, tensor);
      continue;
    }
    if (!folder_.equal(name, tensor))
      reject(folder_, fmt::format("'{}' differs from '{}', and in the model they are one", name, tensor),
             "a model whose tables are not tied has both");
    dropped_[folder_.at(name).view->name] = fmt::format("equals {}, to which it is tied", tensor);
  }
}

// A head is new as a whole: one of which files have a part is a damaged one.
void WeightReader::find_heads() {
  std::map<std::string, std::vector<const WeightPiece*>> heads;
  for (const WeightPiece& piece : map_.pieces())
    if (!piece.head.empty()) heads[piece.head].push_back(&piece);
  for (const auto& [head, pieces] : heads) {
    const auto is_there = [&](const WeightPiece* piece) { return folder_.has(piece->tensor); };
    if (std::none_of(pieces.begin(), pieces.end(), is_there)) fresh_[head] = "the folder has none";
    if (!std::all_of(pieces.begin(), pieces.end(), is_there)) continue;
    for (const WeightPiece* piece : pieces) {
      Shape found = folder_.shape(piece->tensor);
      if (found == piece->shape || found.size() != piece->shape.size()) continue;
      const std::string theirs = bracketed(found);
      found.front() = piece->shape.front();
      if (found == piece->shape)
        fresh_.try_emplace(head, fmt::format("the folder has {} {}, not {}", piece->tensor, theirs, bracketed(piece->shape)));
    }
  }
  for (const WeightPiece& piece : map_.pieces())
    if (fresh_.contains(piece.head) && folder_.has(piece.tensor))
      dropped_[folder_.at(piece.tensor).view->name] = fmt::format("the {} is new, for another number of rows", piece.head);
}

void WeightReader::drop_unused() {
  std::set<std::string> needed;
  for (const WeightPiece& piece : map_.pieces()) needed.insert(piece.tensor);
  for (const auto& [name, found] : folder_.tensors())
    for (const auto& [prefix, why] : map_.unused())
      if (name.starts_with(prefix) && !needed.contains(name)) dropped_.try_emplace(found.view->name, why);
}

void WeightReader::resample_grids() {
  for (const WeightPiece& piece : map_.pieces()) {
    const auto grid = map_.grids().find(piece.tensor);
    if (grid == map_.grids().end() || !folder_.has(piece.tensor)) continue;
    const TensorView& view = *folder_.at(piece.tensor).view;
    if (view.shape == piece.shape) continue;
    std::optional<ResampledGrid> made = resample(view, piece.shape, grid->second);
    if (!made) continue;  // check_tensors has the words
    resampled_[piece.tensor] = fmt::format("{0}x{0} positions resampled to {1}x{1}", made->from, made->to);
    folder_.replace(piece.tensor, piece.shape, std::move(made->bytes));
  }
}

void WeightReader::take_pieces() {
  for (const WeightPiece& piece : map_.pieces())
    if (!fresh_.contains(piece.head)) pieces_[piece.parameter].push_back(piece);
}

void WeightReader::check_tensors() const {
  std::vector<std::string> missing, surplus;
  std::set<std::string> needed;
  for (const WeightPiece& piece : map_.pieces()) {
    if (fresh_.contains(piece.head) || !needed.insert(piece.tensor).second) continue;
    if (!folder_.has(piece.tensor)) missing.push_back(piece.tensor);
  }
  for (const auto& [name, found] : folder_.tensors())
    if (!needed.contains(name) && !dropped_.contains(found.view->name)) surplus.push_back(found.view->name);
  if (!missing.empty())
    reject(folder_,
           fmt::format("{} of {} tensors that the model needs are missing: {}", missing.size(), needed.size(),
                       some_of(missing)),
           surplus.empty() ? "" : fmt::format("there is more than it needs: {}", some_of(surplus)));
  if (!surplus.empty())
    reject(folder_, fmt::format("{} tensors are no parameters of the model: {}", surplus.size(), some_of(surplus)),
           "has the model fewer layers, or other options, than the folder?");
  for (const WeightPiece& piece : map_.pieces()) {
    if (fresh_.contains(piece.head)) continue;
    const TensorView& view = *folder_.at(piece.tensor).view;
    if (view.shape != piece.shape)
      reject(folder_,
             fmt::format("tensor '{}' is {}, and the model needs {}", view.name, bracketed(view.shape),
                         bracketed(piece.shape)),
             "the model's options differ from those of the folder's config.json");
    if (element_type(view.dtype) < 0)
      throw Error(ExitCode::unsupported,
                  fmt::format("tensor '{}' is {}; expected F32, BF16, F16 or F64", view.name, view.dtype),
                  "quantized weights are not read", {folder_.at(piece.tensor).file->path().string()});
  }
}

void WeightReader::read(const std::string& parameter, const Box& box, std::int64_t first, std::int64_t last,
                        double* out) const {
  const auto pieces = pieces_.find(parameter);
  if (pieces == pieces_.end()) fail(ExitCode::failure, "weights: no parameter '{}'", parameter);
  std::fill(out, out + (last - first), 0.0);
  const std::size_t rank = box.begin.size();
  const std::int64_t row = rank == 0 ? 1 : box.end.back() - box.begin.back();
  for (std::int64_t next = first; next < last;) {
    const std::int64_t column = next % row, end = std::min(last, next - column + row);
    Shape index = box.begin;
    std::int64_t rest = next / row;
    for (std::size_t d = rank > 0 ? rank - 1 : 0; d-- > 0;) {
      const std::int64_t length = box.end[d] - box.begin[d];
      index[d] += rest % length;
      rest /= length;
    }
    if (rank > 0) index.back() += column;
    for (const WeightPiece& piece : pieces->second)
      if (const Run run = run_in(piece, index, end - next); run.begin < run.end)
        copy(folder_.at(piece.tensor), run, out + (next - first) + run.begin);
    next = end;
  }
}

}  // namespace trellis
