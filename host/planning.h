// What the planning verbs (search, explain, profile) make of a run file before they begin.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/verbs.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/run_file.h"

namespace trellis::host {

// What a search is after. Over one batch all are the same; over several it is the time of a sample, or of a token.
enum class Objective { samples, tokens, step };
std::string_view name_of(Objective);

struct Planning {
  RunFile run;
  std::unique_ptr<Catalog> catalog;
  Dimensions dimensions;
  ModelSpec model;
  std::shared_ptr<const OpLibrary> ops;
  int devices = 1;
  Cluster cluster;
  std::filesystem::path profile_file;  // where the profile is, or is to be written
  std::optional<Profile> profile;      // what the file has
  std::shared_ptr<const Prices> prices;

  // Reads the sections `search` (but for the algorithm's own options) and `profile`.
  static Planning load(const Context&, const std::filesystem::path& run_file, const std::vector<std::string>& overrides,
                       std::optional<int> devices);

  // Of a budget, the share that is left free: search.margin, or what predictions need.
  double margin() const;
  // Of every device, after the margin; where they differ of each, and the least of them.
  Bytes budget() const;
  std::vector<Bytes> budgets() const;  // empty where all have the same
  SpaceOptions space() const;         // of the section `search`, and of `train` and `devices` what it leaves open
  Problem problem() const;            // over that space
  std::optional<Plan> start() const;  // search.start_from, which lies in the space
  Objective objective() const;        // search.objective
};

}  // namespace trellis::host
