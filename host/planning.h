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

  SpaceOptions space() const;  // of the section `search`
  Problem problem() const { return make_problem(model, dimensions, space()); }
};

}  // namespace trellis::host
