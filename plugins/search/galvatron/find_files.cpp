// Profile files by the reference's naming: KIND_PRECISION_WORDS.json, where WORDS are the model's name and, in any
// order, what was varied (static, batch, sequence), "nosp", "seqlenN" and "all".
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "json_file.h"
#include "settings.h"
#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

const char* name_of(ProfileMode mode) {
  return mode == ProfileMode::fixed ? "static" : mode == ProfileMode::batch ? "batch" : "sequence";
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  std::size_t start = 0;
  for (std::size_t end; start <= text.size(); start = end + 1) {
    end = std::min(text.find('_', start), text.size());
    words.push_back(text.substr(start, end - start));
  }
  return words;
}

struct Candidate {
  std::string file;
  bool is_for_mode = false;  // says the very mode; others say none
};

// Nothing where the name says that it is for something else.
std::optional<Candidate> judge(const std::string& file, const std::string& prefix, const Settings& s, ProfileMode mode,
                               bool is_memory) {
  if (!file.starts_with(prefix) || !file.ends_with(".json")) return std::nullopt;
  Candidate candidate{file};
  bool without_sp = false;
  std::string model;
  for (const std::string& word : split(file.substr(prefix.size(), file.size() - prefix.size() - 5))) {
    if (word == "all") continue;
    if (word == "static" || word == "batch" || word == "sequence") {
      if (word != name_of(mode)) return std::nullopt;
      candidate.is_for_mode = true;
    } else if (word == "nosp") {
      without_sp = true;
    } else if (word.starts_with("seqlen") && number_after(word, "seqlen") >= 0) {
      if (number_after(word, "seqlen") != s.sequence) return std::nullopt;
    } else {
      model += (model.empty() ? "" : "_") + word;
    }
  }
  if (is_memory && without_sp && s.sequence_parallel) return std::nullopt;
  if (is_memory && !without_sp && !s.sequence_parallel && candidate.is_for_mode) candidate.is_for_mode = false;
  if (is_memory && without_sp) candidate.is_for_mode = true;
  if (!s.model.empty() && model != s.model) return std::nullopt;
  return candidate;
}

std::filesystem::path find(const Settings& s, const std::string& kind, ProfileMode mode, bool is_memory) {
  const std::string prefix = fmt::format("{}_{}_", kind, s.precision);
  std::vector<std::string> there;
  std::vector<Candidate> fit;
  for (const auto& entry : std::filesystem::directory_iterator(s.profiles)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(kind)) there.push_back(file);
    if (auto candidate = judge(file, prefix, s, mode, is_memory)) fit.push_back(*candidate);
  }
  std::sort(there.begin(), there.end());
  // Narrower names first, then those of the profiler's whole-layer unit, which the reference reads.
  const auto prefer = [&](auto&& wanted) {
    if (std::any_of(fit.begin(), fit.end(), wanted)) std::erase_if(fit, [&](const Candidate& c) { return !wanted(c); });
  };
  prefer([](const Candidate& c) { return c.is_for_mode; });
  prefer([](const Candidate& c) { return c.file.ends_with("_all.json"); });
  if (fit.size() == 1) return s.profiles / fit.front().file;
  std::vector<std::string> names;
  for (const Candidate& candidate : fit) names.push_back(candidate.file);
  std::sort(names.begin(), names.end());
  if (fit.empty())
    throw Error(ExitCode::bad_input,
                fmt::format("no file {}*.json for mode '{}'{}", prefix, name_of(mode),
                            s.model.empty() ? "" : fmt::format(" and model '{}'", s.model)),
                there.empty() ? fmt::format("the folder has no {}*.json at all", kind)
                              : fmt::format("found: {}", fmt::join(there, ", ")),
                {s.profiles.string()});
  throw Error(ExitCode::bad_input,
              fmt::format("several files for mode '{}': {}", name_of(mode), fmt::join(names, ", ")),
              "name the model (model: NAME, as in the files' names), or move the others away", {s.profiles.string()});
}

}  // namespace

std::filesystem::path find_computation(const Settings& s) {
  return find(s, "computation_profiling", s.time_mode, false);
}

std::filesystem::path find_memory(const Settings& s) { return find(s, "memory_profiling", s.memory_mode, true); }

std::filesystem::path find_hardware(const Settings& s, const std::string& kind) {
  const std::string name = kind == "overlap_coefficient"
                               ? kind + ".json"
                               : fmt::format("{}_{}nodes_{}gpus_per_node.json", kind, s.nodes, s.devices / s.nodes);
  const std::filesystem::path path = s.hardware / name;
  if (std::filesystem::exists(path)) return path;
  std::vector<std::string> there;
  for (const auto& entry : std::filesystem::directory_iterator(s.hardware))
    if (entry.path().filename().string().starts_with(kind)) there.push_back(entry.path().filename().string());
  std::sort(there.begin(), there.end());
  throw Error(ExitCode::bad_input, fmt::format("there is no {}", name),
              there.empty() ? fmt::format("the folder has no {}*.json at all", kind)
                            : fmt::format("found: {}", fmt::join(there, ", ")),
              {s.hardware.string()});
}

}  // namespace trellis::galvatron
