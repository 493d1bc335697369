// Computation profiles: forward times by batch size or sequence length.
#include <fmt/format.h>

#include <set>

#include "profile.h"

namespace trellis::galvatron {
namespace {

constexpr std::size_t kFewestBatches = 8;  // as the reference asks

// "layernum[2]_bsz1_seq2048" or "layernum2_bsz1_seq2048": the count; -1 for other keys.
std::int64_t layers_of_run(const std::string& key) {
  if (key.starts_with("layernum[")) return number_after(key, "layernum[");
  return key.starts_with("layernum") ? number_after(key, "layernum") : -1;
}

// A file with raw runs only gets the derived times: a layer's is the difference between the longest and the shortest
// model over their difference in layers, the rest is the vocabulary's.
Json with_derived_times(const JsonFile& file) {
  Json root = file.root();
  for (const auto& [key, value] : root.items())
    if (key.starts_with("layertype_")) return root;
  std::map<std::pair<std::int64_t, std::int64_t>, std::map<std::int64_t, double>> runs;  // (batch, length) -> layers
  for (const auto& [key, value] : file.root().items()) {
    if (!key.starts_with("layernum")) continue;
    if (key.find(',') != std::string::npos)
      file.reject({key}, "a run with several types of layers", "the main branch of the reference knows one");
    const std::int64_t layers = layers_of_run(key), batch = number_after(key, "_bsz"),
                       length = number_after(key, "_seq");
    if (layers < 1 || batch < 1 || length < 1) file.reject({key}, "expected a key like layernum[2]_bsz8_seq2048");
    runs[{batch, length}][layers] = file.positive(value, {key});
  }
  if (runs.empty())
    file.reject({"layertype_0_bsz*_seq*"}, "required, and there are no runs (layernum*) to derive it from");
  for (const auto& [point, times] : runs) {
    const auto [batch, length] = point;
    const auto [fewest, short_time] = *times.begin();
    const auto [most, long_time] = *times.rbegin();
    const std::string run = fmt::format("layernum*_bsz{}_seq{}", batch, length);
    if (fewest == most) file.reject({run}, "one run only: a layer's time is the difference between two");
    const double layer = (long_time - short_time) / static_cast<double>(batch) / static_cast<double>(most - fewest);
    if (layer <= 0)
      file.reject({run}, fmt::format("{} layers take no longer than {}", most, fewest), "measure it again");
    const double rest =
        (short_time - static_cast<double>(fewest) * layer * static_cast<double>(batch)) / static_cast<double>(batch);
    root[fmt::format("layertype_0_bsz{}_seq{}", batch, length)] = layer;
    root[fmt::format("layertype_other_bsz{}_seq{}", batch, length)] = std::max(rest, 0.0);
  }
  return root;
}

class Times {
 public:
  Times(const JsonFile& file, Json root, std::string prefix, bool may_be_zero)
      : file_(file), root_(std::move(root)), prefix_(std::move(prefix)), may_be_zero_(may_be_zero) {}

  // Defect of the reference: the first key in the file's order is taken, whatever its batch and its sequence length.
  double first() const {
    for (const auto& [key, value] : root_.items())
      if (key.starts_with(prefix_)) return time(key, value);
    file_.reject({prefix_ + "bsz*_seq*"}, "required, and not there");
  }

  // Time of a whole micro-batch by its size. Defect of the reference: a length that begins with the wanted one
  // ("_seq20480" for 2048) counts, too.
  Line by_batch(std::int64_t sequence) const {
    const std::string wanted = fmt::format("_seq{}", sequence);
    Points points;
    for (const auto& [key, value] : root_.items()) {
      if (!key.starts_with(prefix_) || key.find(wanted) == std::string::npos) continue;
      const auto batch = static_cast<double>(number_after(key, "_bsz"));
      if (batch < 1) file_.reject({key}, fmt::format("expected a key like {}bsz8_seq{}", prefix_, sequence));
      points.x.push_back(batch);
      points.y.push_back(time(key, value) * batch);
    }
    const std::string keys = fmt::format("{}bsz*{}", prefix_, wanted);
    if (points.x.empty())
      file_.reject({keys}, "required, and not there", fmt::format("lengths in the file: {}", lengths()));
    if (points.distinct() < kFewestBatches)
      file_.reject({keys}, fmt::format("too few points for a fit: {} batch sizes, at least {} are needed",
                                       points.distinct(), kFewestBatches));
    const Line line = fit_line(points);
    for (const double batch : points.x)
      if (!may_be_zero_ && line(batch) <= 0)
        file_.reject({keys}, fmt::format("the fit gives no positive time for batch size {}", batch), "measure it again");
    return line;
  }

  // Time of one sample by its length, measured with batches of one.
  Points by_length(std::size_t fewest) const {
    Points points;
    for (const auto& [key, value] : root_.items()) {
      if (!key.starts_with(prefix_) || key.find("_bsz1_") == std::string::npos) continue;
      const auto length = static_cast<double>(number_after(key, "seq"));
      if (length < 1) file_.reject({key}, fmt::format("expected a key like {}bsz1_seq4096", prefix_));
      points.x.push_back(length);
      points.y.push_back(time(key, value));
    }
    if (points.distinct() < fewest)
      file_.reject({prefix_ + "bsz1_seq*"}, fmt::format("too few points for a fit: {} lengths, at least {} are needed",
                                                        points.distinct(), fewest));
    return points;
  }

 private:
  double time(const std::string& key, const Json& value) const {
    return may_be_zero_ ? file_.not_negative(value, {key}) : file_.positive(value, {key});
  }

  std::string lengths() const {
    std::set<std::int64_t> found;
    for (const auto& [key, value] : root_.items())
      if (key.starts_with(prefix_)) found.insert(number_after(key, "seq"));
    std::string text;
    for (const std::int64_t length : found) text += (text.empty() ? "" : ", ") + std::to_string(length);
    return text.empty() ? "none" : text;
  }

  const JsonFile& file_;
  Json root_;
  std::string prefix_;
  bool may_be_zero_;
};

void check_layer_types(const JsonFile& file, const Json& root) {
  for (const auto& [key, value] : root.items())
    if (key.starts_with("layertype_1"))
      file.reject({key}, "the profile has several types of layers, the search knows one",
                  "layers is one number: profile a model of one type of layer");
}

}  // namespace

ComputationProfile read_computation(const JsonFile& file, const Settings& s) {
  const Json root = with_derived_times(file);
  check_layer_types(file, root);
  const Times layer(file, root, "layertype_0_", false), rest(file, root, "layertype_other_", true);
  ComputationProfile profile;
  if (s.time_mode == ProfileMode::fixed) {
    profile.layer.line.slope = layer.first();
    profile.vocabulary.line.slope = rest.first();
  } else if (s.time_mode == ProfileMode::batch) {
    profile.layer.line = layer.by_batch(s.sequence);
    profile.vocabulary.line = rest.by_batch(s.sequence);
  } else {
    const auto length = static_cast<double>(s.sequence);
    profile.layer.line.slope = fit_parabola(layer.by_length(3))(length);
    profile.vocabulary.line.slope = fit_line(rest.by_length(2))(length);
    if (profile.layer.line.slope <= 0 || profile.vocabulary.line.slope < 0)
      file.reject({"layertype_*_bsz1_seq*"}, fmt::format("the fit gives no positive time for length {}", s.sequence));
  }
  return profile;
}

}  // namespace trellis::galvatron
