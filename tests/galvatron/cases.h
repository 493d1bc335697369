// The two cases of the repository, as settings and profiles.
#pragma once

#include <string>
#include <vector>

#include "answer.h"
#include "report.h"
#include "support/error_of.h"
#include "support/paths.h"

namespace trellis::galvatron {

// The section `search` of a run file of configs/runs with "key=value" on top.
inline Options section_of(const std::string& run, std::vector<std::string> overrides = {}) {
  for (std::string& text : overrides) text = "search." + text;
  return Options::load_run_file(testing::source_dir() / "configs/runs" / run, overrides).section("search");
}

inline const char* const kFixture = "galvatron-fixture.yaml";
inline const char* const kLlama = "galvatron-llama2-7b.yaml";

// Settings, profiles and costs that belong together.
struct Case {
  explicit Case(const std::string& run, std::vector<std::string> overrides = {})
      : settings(Settings::read(section_of(run, std::move(overrides)))), profiles(read_profiles(settings)) {}

  CostModel costs() const { return {settings, profiles}; }
  // The answer's strategies; empty where there is none.
  static std::string sequence(const SearchOutcome& outcome) {
    return outcome.best ? sequence_text(outcome.best->layers) : "";
  }

  Settings settings;
  Profiles profiles;
};

using test::error_of;

}  // namespace trellis::galvatron
