// Layers out of raw memory runs, as the reference's profiler derives them. The runs are ZeRO-3: a rank holds the share
// of a parameter that is left after tp and dp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "profile.h"

namespace trellis::galvatron {
namespace {

struct Place {
  int pp = 1, tp = 1;
  bool vocabulary = false, checkpoint = false;
};

// One run's numbers by (layers, rank, what), at one batch size and sequence length.
using Run = std::map<std::tuple<std::int64_t, std::int64_t, std::string>, double>;

class Derivation {
 public:
  Derivation(const JsonFile& file, const Settings& s, std::int64_t length)
      : file_(file), world_(s.devices), sp_(s.sequence_parallel), length_(length) {}

  void write(Json& root) {
    layers();
    vocabulary();
    // The reference fills what was not run, under sequence parallelism, with half of the next smaller degree.
    if (sp_) fill();
    const std::string suffix = sp_ ? "_sp" : "", length = std::to_string(length_);
    Json activation;
    for (const auto& [degree, value] : activation_) activation[std::to_string(degree)] = value;
    if (checkpoint_) activation["checkpoint"] = *checkpoint_;
    root["layertype_0" + suffix][length] = {{"parameter_size", parameters_},
                                            {"tp_activation_per_bsz_dict", activation}};
    const char* names[] = {"other_memory_pp_off", "other_memory_pp_on_first", "other_memory_pp_on_last"};
    for (int which = 0; which < 3; ++which) {
      Json& entry = root[names[which] + suffix][length];
      entry = {{"model_states", Json::object()}, {"activation", Json::object()}};
      for (const auto& [degree, value] : states_[which]) entry["model_states"][std::to_string(degree)] = value;
      for (const auto& [degree, value] : peaks_[which]) entry["activation"][std::to_string(degree)] = value;
    }
  }

 private:
  std::string name(const Place& p) const {
    return fmt::format("{}_{}_{}{}{}{}", p.pp, p.tp, world_ / p.pp / p.tp, p.checkpoint ? "_c" : "",
                       p.vocabulary ? "_vtp" : "", sp_ ? "_sp" : "");
  }

  // Empty where there is no such run. Keys are layernum[2]_bsz8_seq2048_rank0_act, with or without brackets.
  Run run(const Place& place) {
    Run result;
    const auto found = file_.root().find(name(place));
    if (found == file_.root().end()) return result;
    if (!found->is_object()) file_.reject({name(place)}, "expected an object");
    std::set<std::int64_t> batches;
    for (const auto& [key, value] : found->items()) {
      const std::int64_t bare = number_after(key, "layernum"), bracketed = number_after(key, "layernum[");
      const std::int64_t layers = std::max(bare, bracketed), batch = number_after(key, "_bsz");
      const std::int64_t rank = number_after(key, "_rank");
      if (layers < 1 || batch < 1 || rank < 0)
        file_.reject({name(place), key}, "expected a key like layernum[2]_bsz8_seq2048_rank0_act");
      if (number_after(key, "_seq") != length_) continue;
      const std::string what = key.substr(key.find("_rank") + 6 + std::to_string(rank).size());
      result[{layers, rank, what}] = file_.not_negative(value, {name(place), key});
      batches.insert(batch);
    }
    if (batches.size() > 1) file_.reject({name(place)}, "runs with several batch sizes");
    if (!batches.empty()) {
      const std::int64_t batch = *batches.begin();
      if (batch_ != 0 && batch != batch_)
        file_.reject({name(place)}, fmt::format("its batch size is {}, that of other runs {}", batch, batch_));
      batch_ = batch;
    }
    return result;
  }

  double value(const Place& place, const Run& run, std::int64_t layers, std::int64_t rank, const std::string& what) {
    const auto found = run.find({layers, rank, what});
    if (found == run.end())
      file_.reject(
          {name(place), fmt::format("layernum[{}]_bsz{}_seq{}_rank{}_{}", layers, batch_, length_, rank, what)},
          "required, and not there");
    return found->second;
  }

  std::pair<std::int64_t, std::int64_t> fewest_and_most(const Place& place, const Run& run) {
    const std::int64_t fewest = std::get<0>(run.begin()->first), most = std::get<0>(run.rbegin()->first);
    if (fewest == most) file_.reject({name(place)}, "one number of layers only: a layer is the difference between two");
    return {fewest, most};
  }

  double activation_of(const Place& place, const Run& run) {
    const auto [fewest, most] = fewest_and_most(place, run);
    const double layer =
        (value(place, run, most, 0, "act") - value(place, run, fewest, 0, "act")) / static_cast<double>(most - fewest);
    return layer / place.tp * world_ / static_cast<double>(batch_);
  }

  void layers() {
    for (int tp = 1; tp <= world_; tp *= 2) {
      const Place place{1, tp};
      if (const Run runs = run(place); !runs.empty()) {
        const auto [fewest, most] = fewest_and_most(place, runs);
        fewest_ = fewest;
        const double difference = value(place, runs, most, 0, "ms") - value(place, runs, fewest, 0, "ms");
        // A rank's states are parameter, gradient and two moments: a quarter is the parameter.
        shard_[tp] = difference / static_cast<double>(most - fewest) / 4 * (world_ / tp);
        activation_[tp] = activation_of(place, runs);
        parameters_ = std::max(parameters_, shard_[tp] * tp);
      }
      const Place recomputed{1, tp, false, true};
      if (const Run runs = run(recomputed); !runs.empty())
        checkpoint_ = std::max(checkpoint_.value_or(-1), activation_of(recomputed, runs));
    }
    if (activation_.empty())
      file_.reject({name({1, 1})}, fmt::format("required, and there is no run of length {}", length_));
  }

  void vocabulary() {
    for (int pp = 1; pp <= world_; pp *= 2)
      for (int tp = 1; pp * tp <= world_; tp *= 2)
        for (const bool cut : {false, true}) {
          if (cut && tp == 1) continue;
          const Place place{pp, tp, cut};
          if (const Run runs = run(place); !runs.empty()) vocabulary(place, runs);
        }
  }

  // With a pipeline there are as many layers as stages: one on each.
  void vocabulary(const Place& place, const Run& runs) {
    const int pp = place.pp, tp = place.tp;
    const bool cut = place.vocabulary;
    if (!shard_.contains(tp)) file_.reject({name({1, tp})}, "required, and not there: it has the layers' share");
    const std::int64_t layers = pp > 1 ? pp : fewest_;
    const double here = pp > 1 ? 1 : static_cast<double>(fewest_);
    const double dp = world_ / pp / tp, batch = static_cast<double>(batch_), degree = cut ? tp : 1;
    const auto measure = [&](std::int64_t rank, int which) {
      const double states =
          (value(place, runs, layers, rank, "ms") - here * shard_[tp] * 4 / dp) * (world_ / pp) / degree;
      const double peak =
          std::max(value(place, runs, layers, rank, "act_peak"), value(place, runs, layers, rank, "act"));
      const double activation = (peak - here * activation_[tp] * (batch / dp)) / (batch / world_ * pp * degree);
      const auto keep = [&](std::map<int, double>& into, double found) {
        const auto [entry, is_new] = into.emplace(cut ? tp : 1, std::max(found, 0.0));
        if (!is_new) entry->second = std::min(entry->second, std::max(found, 0.0));
      };
      keep(states_[which], states);
      keep(peaks_[which], activation);
    };
    measure(0, pp == 1 ? 0 : 1);
    if (pp > 1) measure(world_ - 1, 2);
  }

  void fill() {
    const auto halve = [](std::map<int, double>& values) {
      for (const int degree : {2, 4, 8})
        if (!values.contains(degree) && values.contains(degree / 2)) values[degree] = values[degree / 2] / 2;
    };
    halve(activation_);
    for (int which = 0; which < 3; ++which) halve(states_[which]), halve(peaks_[which]);
  }

  const JsonFile& file_;
  int world_;
  bool sp_;
  std::int64_t length_, batch_ = 0, fewest_ = 1;
  double parameters_ = -1;
  std::map<int, double> shard_, activation_;  // by tp: parameters of a layer on a rank before dp; activations
  std::optional<double> checkpoint_;
  std::map<int, double> states_[3], peaks_[3];  // without a pipeline, first stage, last stage
};

}  // namespace

Json with_derived_memory(const JsonFile& file, const Settings& s) {
  Json root = file.root();
  const std::string suffix = s.sequence_parallel ? "_sp" : "";
  if (root.contains("layertype_0" + suffix)) return root;
  std::set<std::int64_t> lengths;
  for (const auto& [name, run] : file.root().items()) {
    if (name.find_first_not_of("0123456789") == 0 || name.ends_with("_sp") != s.sequence_parallel) continue;
    if (!run.is_object()) continue;
    for (const auto& [key, value] : run.items())
      if (const std::int64_t length = number_after(key, "_seq"); length > 0) lengths.insert(length);
  }
  if (lengths.empty())
    file.reject({"layertype_0" + suffix}, "required, and there are no runs to derive it from",
                s.sequence_parallel ? "the file may be one without sequence parallelism (sequence_parallel: off)"
                                    : "the file may be one with sequence parallelism (sequence_parallel: on)");
  for (const std::int64_t length : lengths) Derivation(file, s, length).write(root);
  return root;
}

}  // namespace trellis::galvatron
