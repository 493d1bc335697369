#include "plan/weights/export.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <system_error>

#include "plan/plugin/calls.h"
#include "plan/weights/elements.h"
#include "plan/weights/import.h"
#include "plan/weights/json.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

namespace fs = std::filesystem;

// Of a tokenizer, of generation, of preprocessing: copied as they are.
constexpr const char* kCompanions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
};

std::size_t bytes_of(const WeightPiece& piece, const std::string& dtype) {
  return static_cast<std::size_t>(elements(piece.shape)) * element_size(dtype);
}

// Copies the elements of a piece from a whole parameter to its tensor.
void scatter(const WeightPiece& piece, const Shape& whole, std::size_t size, const std::byte* from, std::byte* to) {
  const std::size_t rank = whole.size();
  const std::int64_t row = rank == 0 ? 1 : piece.extent.back();
  const std::int64_t rows = elements(piece.extent) / row, step = rank == 0 ? 1 : piece.strides.back();
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t rest = r, source = 0, target = piece.offset, stride = rank == 0 ? 1 : whole.back();
    for (std::size_t d = rank > 0 ? rank - 1 : 0; d-- > 0;) {
      const std::int64_t index = rest % piece.extent[d];
      rest /= piece.extent[d];
      source += (piece.begin[d] + index) * stride;
      target += index * piece.strides[d];
      stride *= whole[d];
    }
    if (rank > 0) source += piece.begin.back();
    const std::byte* in = from + static_cast<std::size_t>(source) * size;
    std::byte* out = to + static_cast<std::size_t>(target) * size;
    if (step == 1) std::memcpy(out, in, static_cast<std::size_t>(row) * size);
    else
      for (std::int64_t c = 0; c < row; ++c)
        std::memcpy(out + static_cast<std::size_t>(c * step) * size, in + static_cast<std::size_t>(c) * size, size);
  }
}

// One file, or as many as the limit makes necessary, in the order of the tensors; as the public library cuts.
std::vector<std::vector<TensorDeclaration>> cut(const std::vector<TensorDeclaration>& tensors, std::size_t limit) {
  std::vector<std::vector<TensorDeclaration>> shards(1);
  std::size_t size = 0;
  for (const TensorDeclaration& tensor : tensors) {
    const std::size_t bytes = static_cast<std::size_t>(elements(tensor.shape)) * element_size(tensor.dtype);
    if (size > 0 && size + bytes > limit) shards.emplace_back(), size = 0;
    shards.back().push_back(tensor);
    size += bytes;
  }
  return shards;
}

// Those that have a dtype: of a head that is not there nothing is written.
std::vector<TensorDeclaration> tensors_of(const WeightMap& map, const std::map<std::string, std::string>& dtypes) {
  std::vector<TensorDeclaration> result;
  std::set<std::string> known;
  for (const WeightPiece& piece : map.pieces())
    if (dtypes.contains(piece.tensor) && known.insert(piece.tensor).second)
      result.push_back({piece.tensor, dtypes.at(piece.tensor), piece.shape});
  return result;
}

fs::path make_temporary(const fs::path& folder) {
  check_export_folder(folder);
  const fs::path parent = fs::absolute(folder).lexically_normal().parent_path();
  std::string name = (parent / fmt::format(".{}.XXXXXX", folder.filename().string())).string();
  if (!::mkdtemp(name.data()))
    fail(ExitCode::io, "cannot make folder '{}': {}", folder.string(), std::generic_category().message(errno));
  return name;
}

}  // namespace

void check_export_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder) && !fs::is_directory(folder))
    fail(ExitCode::io, "cannot export to '{}': there is a file of that name", folder.string());
  if (fs::exists(folder) && !fs::is_empty(folder, error))
    throw Error(ExitCode::io, fmt::format("cannot export to '{}': there is something in it", folder.string()),
                "weights are not overwritten: name another folder, or remove this one");
  const fs::path parent = fs::absolute(folder).lexically_normal().parent_path();
  fs::create_directories(parent, error);
  if (error) fail(ExitCode::io, "cannot make folder '{}': {}", parent.string(), error.message());
  try_writing(parent / ".export");
}

WeightExport::WeightExport(fs::path folder, const WeightMap& map, const std::map<std::string, std::string>& dtypes,
                           const ExportOptions& options)
    : folder_(folder.has_filename() ? std::move(folder) : folder.parent_path()), map_(map), dtypes_(dtypes) {
  map_.check();
  temporary_ = make_temporary(folder_);
  try {
    const auto shards = cut(tensors_of(map_, dtypes_), static_cast<std::size_t>(options.shard.value));
    for (std::size_t i = 0; i < shards.size(); ++i) {
      names_.push_back(shards.size() == 1 ? std::string(kWeightsFile)
                                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size()));
      shards_.push_back(std::make_unique<SafetensorsWriter>(temporary_ / names_.back(), shards[i]));
      for (const TensorDeclaration& tensor : shards[i]) {
        shard_of_[tensor.name] = i;
        total_ += shards_.back()->bytes(tensor.name).size();
      }
    }
  } catch (...) {
    shards_.clear();
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
    throw;
  }
}

WeightExport::~WeightExport() {
  shards_.clear();
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void WeightExport::write(const std::string& parameter, std::span<const std::byte> data) {
  const auto shape = map_.parameters().find(parameter);
  if (shape == map_.parameters().end()) fail(ExitCode::failure, "weights: no parameter '{}'", parameter);
  for (const WeightPiece& piece : map_.pieces()) {
    if (piece.parameter != parameter) continue;
    const std::size_t size = element_size(dtypes_.at(piece.tensor));
    if (data.size() != static_cast<std::size_t>(elements(shape->second)) * size)
      fail(ExitCode::failure, "weights: '{}' has {} bytes", parameter, data.size());
    scatter(piece, shape->second, size, data.data(), bytes(piece.tensor).data());
  }
}

std::span<std::byte> WeightExport::bytes(const std::string& tensor) {
  return shards_.at(shard_of_.at(tensor))->bytes(tensor);
}

void WeightExport::add_file(const std::string& name, const std::string& content) {
  write_file_atomically(temporary_ / name, content);
}

void WeightExport::copy_files(const fs::path& from) {
  for (const char* name : kCompanions)
    if (fs::is_regular_file(from / name)) add_file(name, read_file(from / name));
}

void WeightExport::commit() {
  for (const auto& shard : shards_) shard->commit();
  if (shards_.size() > 1) {
    Json index = {{"metadata", {{"total_size", total_}}}, {"weight_map", Json::object()}};
    for (const auto& [tensor, shard] : shard_of_) index["weight_map"][tensor] = names_[shard];
    add_file(kIndexFile, index.dump(2) + "\n");
  }
  const mode_t mask = ::umask(0);  // there is no call that only reads it
  ::umask(mask);
  ::chmod(temporary_.c_str(), 0777 & ~mask);  // mkdtemp makes private folders
  std::error_code error;
  fs::rename(temporary_, folder_, error);
  if (error) fail(ExitCode::io, "cannot write '{}': {}", folder_.string(), error.message());
  temporary_.clear();
}

// --- from one folder to another ---

namespace {

// In the public library's words.
std::string dtype_word(const std::string& dtype) {
  return dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : dtype == "F64" ? "float64" : "float32";
}

void set_dtype(Json& config, const std::string& dtype) {
  const std::string word = dtype_word(dtype);
  bool there = false;
  for (const char* key : {"torch_dtype", "dtype"})
    if (config.contains(key)) there = true, config[key] = word;
  if (!there) config["torch_dtype"] = word;
}

// The elements of a tensor, each to the nearest of another dtype.
void convert(const TensorView& from, const std::string& dtype, std::span<std::byte> to) {
  if (from.dtype == dtype) {
    std::memcpy(to.data(), from.bytes.data(), to.size());
    return;
  }
  const auto in = static_cast<ElementType>(element_type(from.dtype)),
             out = static_cast<ElementType>(element_type(dtype));
  const std::size_t in_size = element_size(from.dtype), out_size = element_size(dtype);
  for (std::size_t i = 0; i * out_size < to.size(); ++i)
    store_element(out, load_element(in, from.bytes.data() + i * in_size), to.data() + i * out_size);
}

}  // namespace

std::string exported_config(const PublicWeights& family, const Options& options, const CanonicalFolder* original,
                            const std::string& dtype, bool new_head) {
  const Json now = Json::parse(family.write_config(options));
  if (!original) {
    Json config = now;
    set_dtype(config, dtype);
    return config.dump(2) + "\n";
  }
  const std::string& text = original->folder().config_text();
  const std::string name = original->folder().config_file().string();
  Json config = parse_json(text, name);
  const Json before = config;
  const Json then = Json::parse(family.write_config(read_config(text, name, family, *original).options));
  // Of another model type what only the former one has goes.
  if (now.at("model_type") != then.at("model_type"))
    for (const auto& [key, value] : then.items())
      if (!now.contains(key)) config.erase(key);
  for (const auto& [key, value] : now.items())
    if (!then.contains(key) || then.at(key) != value || (new_head && key == "architectures")) config[key] = value;
  const std::string word = dtype_word(dtype);
  const bool same_dtype = config.value("torch_dtype", word) == word && config.value("dtype", word) == word;
  if (!same_dtype) set_dtype(config, dtype);
  return config == before ? text : config.dump(2) + "\n";
}

std::string with_class_names(const std::string& config, const std::vector<std::string>& names) {
  Json json = Json::parse(config);
  if (names.empty() || !json.contains("id2label")) return config;
  const Json before = json;
  for (std::size_t i = 0; i < names.size(); ++i) json["id2label"][std::to_string(i)] = names[i];
  if (json == before) return config;
  json["label2id"] = Json::object();
  for (const auto& [number, name] : json["id2label"].items()) json["label2id"][name.get<std::string>()] = std::stoll(number);
  return json.dump(2) + "\n";
}

namespace {

// That a config.json is written which an export can use, at its end as here.
void check_config(const PublicWeights& weights, const std::string& family, const Options& options) {
  const std::string text = plugin::call(PluginType::models, family, [&] { return weights.write_config(options); });
  const Json config = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object() || !config.contains("model_type"))
    throw Error(ExitCode::plugin, fmt::format("the config.json of model '{}' is no JSON object with a model_type", family),
                plugin::defect_hint(family));
}

}  // namespace

void check_export(const RunFile& run, const ModelSpec& model, const Catalog& catalog) {
  if (run.export_folder.empty()) return;
  try {
    check_export_folder(run.export_folder);
    const auto family = catalog.family(run.model.use, run.model.options.mark("use"), run.model.options.path("use"));
    const PublicWeights& weights = public_weights(*family, run.model.use);
    check_config(weights, run.model.use, run.model.options);
    whole_map(weights, run.model.use, run.model.options, model);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("export: {}", error.message()), error.hint(), run.export_mark);
  }
}

std::unique_ptr<WeightExport> begin_export(const RunFile& run, const ModelSpec& model, const Catalog& catalog,
                                           const WeightReader* start, Dtype dtype,
                                           const std::vector<std::string>& class_names) {
  const auto family = catalog.family(run.model.use);
  const PublicWeights& weights = public_weights(*family, run.model.use);
  const WeightMap map = weights.map(run.model.options, model);
  std::map<std::string, std::string> dtypes;
  for (const WeightPiece& piece : map.pieces()) dtypes[piece.tensor] = dtype_name(dtype);
  auto target = std::make_unique<WeightExport>(run.export_folder, map, dtypes);
  const std::string config = exported_config(weights, run.model.options, start ? &start->folder() : nullptr,
                                             std::string(dtype_name(dtype)), start && !start->fresh().empty());
  target->add_file(kConfigFile, with_class_names(config, class_names));
  if (start) target->copy_files(run.weights);
  return target;
}

void export_folder(const WeightReader& weights, const PublicWeights& family, const Options& options, const fs::path& to,
                   const std::string& dtype, const ExportOptions& export_options) {
  std::map<std::string, std::string> dtypes;
  std::map<std::string, std::size_t> bytes;
  for (const WeightPiece& piece : weights.map().pieces()) {
    if (weights.fresh().contains(piece.head)) continue;
    const std::string& own = weights.folder().dtype_in_file(piece.tensor);
    const bool is_made = weights.resampled().contains(piece.tensor) && own == "F16";  // F16 is copied, not written
    const std::string& chosen = dtypes[piece.tensor] = !dtype.empty() ? dtype : is_made ? "F32" : own;
    bytes[chosen] += bytes_of(piece, chosen);
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(), [](auto& a, auto& b) { return a.second < b.second; });
  WeightExport target(to, weights.map(), dtypes, export_options);
  for (const auto& [tensor, chosen] : dtypes) convert(*weights.folder().at(tensor).view, chosen, target.bytes(tensor));
  target.add_file(kConfigFile, exported_config(family, options, &weights.folder(), most->first));
  target.copy_files(weights.folder().folder().path());
  target.commit();
}

}  // namespace trellis
