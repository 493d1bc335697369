// Memory profiles: parameters and activations of a layer, states and activations of the vocabulary layers.
#include <fmt/format.h>

#include <algorithm>

#include "profile.h"
#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

class Reader {
 public:
  Reader(const JsonFile& file, const Settings& s)
      : file_(file), s_(s), suffix_(s.sequence_parallel ? "_sp" : ""), layer_key_("layertype_0" + suffix_) {}

  MemoryProfile read() {
    if (file_.root().contains("layertype_1" + suffix_))
      file_.reject({"layertype_1" + suffix_}, "the profile has several types of layers, the search knows one",
                   "layers is one number: profile a model of one type of layer");
    return s_.memory_mode == ProfileMode::fixed ? at_length() : by_length();
  }

 private:
  MemoryProfile at_length() {
    const std::string length = std::to_string(s_.sequence);
    return assemble(length, length, 1);
  }

  // Parameters of the shortest length, everything else of the longest: activations scale with the length. Defect of the
  // reference: parts that do not depend on it, or depend on its square, scale all the same.
  MemoryProfile by_length() {
    std::vector<std::int64_t> lengths;
    for (const auto& [key, value] : file_.at({layer_key_}).items()) {
      const std::int64_t length = number_after(key, "");
      if (length < 1) file_.reject({layer_key_, key}, "expected a sequence length");
      lengths.push_back(length);
    }
    if (lengths.empty()) file_.reject({layer_key_}, "there is no sequence length");
    const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
    return assemble(std::to_string(*shortest), std::to_string(*longest),
                    static_cast<double>(s_.sequence) / static_cast<double>(*longest));
  }

  MemoryProfile assemble(const std::string& parameters_at, const std::string& length, double scale) {
    MemoryProfile profile;
    profile.parameters = file_.positive({layer_key_, parameters_at, "parameter_size"});
    const std::vector<std::string> activation{layer_key_, length, "tp_activation_per_bsz_dict"};
    profile.activation = degrees(activation, scale, true);
    profile.checkpoint_file = file_.name();
    profile.checkpoint_key = fmt::format("{}.{}.{}.checkpoint", layer_key_, length, activation.back());
    if (const Json& values = file_.at(activation); values.contains("checkpoint")) {
      const double checkpoint = file_.not_negative(values["checkpoint"], {profile.checkpoint_key}) * scale;
      profile.checkpoint = checkpoint;
    }
    profile.whole = vocabulary("other_memory_pp_off", length, scale);
    if (s_.devices > 1 && s_.max_pp > 1 && !s_.disabled.contains("pp")) {
      profile.first = vocabulary("other_memory_pp_on_first", length, scale);
      profile.last = vocabulary("other_memory_pp_on_last", length, scale);
    }
    return profile;
  }

  VocabularyMemory vocabulary(const std::string& key, const std::string& length, double scale) {
    return {degrees({key + suffix_, length, "model_states"}, 1, false),
            degrees({key + suffix_, length, "activation"}, scale, false)};
  }

  ByDegree degrees(const std::vector<std::string>& path, double scale, bool must_be_positive) {
    ByDegree result{{}, file_.name(), path[0] + "." + path[1] + "." + path[2]};
    for (const auto& [key, value] : file_.at(path).items()) {
      if (key == "checkpoint") continue;
      const std::int64_t degree = number_after(key, "");
      std::vector<std::string> place = path;
      place.push_back(key);
      if (degree < 1 || degree > 1 << 20) file_.reject(place, "expected a degree");
      const double found = must_be_positive ? file_.positive(value, place) : file_.not_negative(value, place);
      result.values[static_cast<int>(degree)] = found * scale;
    }
    return result;
  }

  const JsonFile& file_;
  const Settings& s_;
  std::string suffix_, layer_key_;
};

}  // namespace

double ByDegree::at(int degree) const {
  const auto found = values.find(degree);
  if (found == values.end())
    throw Error(ExitCode::bad_input, fmt::format("{}.{}: required for this search, and not there", key, degree),
                "profile it, or keep that degree out of the search (max_tp, max_sp, disable)", {file});
  return found->second;
}

MemoryProfile read_memory(const JsonFile& file, const Settings& s) {
  const JsonFile whole = JsonFile::parse(with_derived_memory(file, s).dump(), file.name());
  return Reader(whole, s).read();
}

}  // namespace trellis::galvatron
