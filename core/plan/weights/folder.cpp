#include "plan/weights/folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "plan/weights/json.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"
#include "trellis/plan/options.h"

namespace trellis {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void reject(const fs::path& file, std::string message, std::string hint = {}) {
  throw Error(ExitCode::bad_input, std::move(message), std::move(hint), {file.string()});
}

bool is_pickle(const fs::path& file) {
  const std::string extension = file.extension().string();
  return extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt";
}

// Why a folder has no weights to read.
[[noreturn]] void reject_without_weights(const fs::path& folder) {
  std::vector<std::string> pickles, others;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_pickle(entry.path())) pickles.push_back(entry.path().filename().string());
    if (entry.path().extension() == ".safetensors") others.push_back(entry.path().filename().string());
  }
  std::sort(pickles.begin(), pickles.end()), std::sort(others.begin(), others.end());
  const std::string missing = fmt::format("there is neither {} nor {}", kWeightsFile, kIndexFile);
  if (!others.empty())
    reject(folder, fmt::format("{}; found {}", missing, some_of(others)),
           fmt::format("shards need their index; a single file is called {}", kWeightsFile));
  if (!pickles.empty())
    throw Error(ExitCode::unsupported,
                fmt::format("the weights are pickled only ({}): reading a pickle runs whatever code is in it",
                            some_of(pickles)),
                "convert them to safetensors where they come from (save_pretrained does), and import that",
                {folder.string()});
  reject(folder, missing, "expected a folder as save_pretrained or a download leaves it");
}

// A shard is a file of the folder itself.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

std::map<std::string, std::string> read_index(const fs::path& file) {
  const Json index = parse_json(read_file(file), file.string());
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    reject(file, "expected an object with 'weight_map': the shard of each tensor");
  std::map<std::string, std::string> result;
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    if (!shard.is_string() || !is_plain_name(shard.get<std::string>()))
      reject(file, fmt::format("weight_map: '{}' is in {}; expected the name of a file of this folder", tensor,
                               shard.dump()));
    result[tensor] = shard.get<std::string>();
  }
  if (result.empty()) reject(file, "weight_map has no tensor");
  return result;
}

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;
  if (names.size() <= kMost + 1) return fmt::format("{}", fmt::join(names, ", "));
  const std::vector<std::string> first(names.begin(), names.begin() + kMost);
  return fmt::format("{} and {} more", fmt::join(first, ", "), names.size() - kMost);
}

WeightFolder::WeightFolder(fs::path path) : path_(std::move(path)) {
  if (!fs::is_directory(path_))
    throw Error(ExitCode::io, fmt::format("there is no folder '{}'", path_.string()),
                fs::exists(path_) ? "expected a folder with config.json and the weights" : "");
  if (!fs::exists(config_file()))
    reject(path_, "there is no config.json", "expected a folder as save_pretrained or a download leaves it");
  config_ = read_file(config_file());
  const bool single = fs::exists(path_ / kWeightsFile), sharded = fs::exists(path_ / kIndexFile);
  if (single && sharded)
    reject(path_, fmt::format("there are both {} and {}", kWeightsFile, kIndexFile), "remove what is not meant");
  if (single) open(path_ / kWeightsFile);
  else if (sharded) read_shards(path_ / kIndexFile);
  else reject_without_weights(path_);
}

void WeightFolder::open(const fs::path& file) {
  files_.push_back(std::make_shared<const SafetensorsFile>(file));
  for (const TensorView& view : files_.back()->tensors()) {
    const auto [first, is_new] = tensors_.try_emplace(view.name, FoundTensor{files_.back().get(), &view});
    if (!is_new)
      reject(file, fmt::format("tensor '{}' is also in {}", view.name, first->second.file->path().filename().string()));
  }
}

void WeightFolder::read_shards(const fs::path& index) {
  const std::map<std::string, std::string> shard_of = read_index(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  std::vector<std::string> missing;
  for (const std::string& shard : shards)
    if (!fs::exists(path_ / shard)) missing.push_back(shard);
  if (!missing.empty())
    reject(index, fmt::format("{} of {} shards are missing: {}", missing.size(), shards.size(), some_of(missing)),
           "fetch them, or the index is of other weights");
  for (const std::string& shard : shards) open(path_ / shard);
  for (const auto& [tensor, shard] : shard_of) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end()) reject(index, fmt::format("tensor '{}' is not in {}", tensor, shard));
    if (const std::string there = found->second.file->path().filename().string(); there != shard)
      reject(index, fmt::format("tensor '{}' is in {}, not in {}", tensor, there, shard));
  }
  for (const auto& [tensor, found] : tensors_)
    if (!shard_of.contains(tensor))
      reject(found.file->path(), fmt::format("tensor '{}' is not in {}", tensor, kIndexFile));
}

std::string WeightFolder::model_type() const {
  const Json config = parse_json(config_, config_file().string());
  const auto found = config.is_object() ? config.find("model_type") : config.end();
  if (found == config.end() || !found->is_string())
    reject(config_file(), "there is no model_type", "it says which model the tensors are of: \"gpt2\", \"llama\" ...");
  return found->get<std::string>();
}

CanonicalFolder::CanonicalFolder(WeightFolder folder, const PublicWeights& family) : folder_(std::move(folder)) {
  for (const auto& [name, found] : folder_.tensors()) {
    const CanonicalName canonical = family.canonical(name);
    if (!canonical.dropped.empty()) {
      dropped_[name] = canonical.dropped;
      continue;
    }
    const auto [first, is_new] = tensors_.try_emplace(canonical.name, found);
    if (!is_new)
      reject(found.file->path(),
             fmt::format("'{}' and '{}' are both tensor '{}'", first->second.view->name, name, canonical.name));
    if (canonical.name != name) renamed_[name] = canonical.name;
  }
}

bool CanonicalFolder::has(std::string_view tensor) const { return tensors_.contains(tensor); }

const FoundTensor& CanonicalFolder::at(std::string_view tensor) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) reject(folder_.path(), fmt::format("there is no tensor '{}'", tensor));
  return found->second;
}

void CanonicalFolder::rename(const std::string& tensor, const std::string& to) {
  auto node = tensors_.extract(tensor);
  renamed_[node.mapped().view->name] = to;
  node.key() = to;
  tensors_.insert(std::move(node));
}

void CanonicalFolder::copy(const std::string& tensor, const std::string& to) { tensors_.emplace(to, tensors_.at(tensor)); }

void CanonicalFolder::replace(const std::string& tensor, Shape shape, std::vector<std::byte> bytes) {
  FoundTensor& found = tensors_.at(tensor);
  auto made = std::make_shared<Made>(Made{std::move(bytes), *found.view});
  made->view.dtype = "F64";
  made->view.shape = std::move(shape);
  made->view.bytes = made->bytes;
  found.view = &made->view;
  made_.push_back(std::move(made));
}

const std::string& CanonicalFolder::dtype_in_file(std::string_view tensor) const {
  return folder_.tensors().at(at(tensor).view->name).view->dtype;
}

Shape CanonicalFolder::shape(std::string_view tensor) const { return at(tensor).view->shape; }

bool CanonicalFolder::equal(std::string_view tensor, std::string_view other) const {
  if (!has(tensor) || !has(other)) return false;
  const TensorView &a = *at(tensor).view, &b = *at(other).view;
  return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

}  // namespace trellis
