// trellis search --compare: several searches on the same problem and costs, side by side.
#pragma once

#include <string>
#include <vector>

#include "host/ordinary_search.h"

namespace trellis::host {

struct Compared {
  std::string search;
  Found found;
  std::string refused;  // why it did not take the problem ("more than the limit of 100000 plans"); else empty
};

// Each in the order given; all names are looked up before the first one runs.
std::vector<Compared> compare_searches(const Planning&, const std::vector<std::string>& names);
// The one with the best score, of equals the first; without a plan where none has found one.
Found best_of(const std::vector<Compared>&);
// The gap of each is by the highest bound that any of them has proven.
void print(const std::vector<Compared>&);
nlohmann::json to_json(const Planning&, const std::vector<Compared>& all, const Compared&);

}  // namespace trellis::host
