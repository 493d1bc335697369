// The global choices as tasks: the shapes that plans of a choice may have, and a first bound of each, before its layers
// are priced.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "task.h"

namespace trellis::exact_search {

// All that layers of some plan can decide together.
std::vector<SharedShapes> shapes_of(const Problem&, const GlobalChoice&);

class CrudeBound {
 public:
  CrudeBound(const Problem& problem, const CostOracle& oracle) : problem_(problem), oracle_(oracle) {}

  // Picoseconds a step, by what the layers compute, were they spread perfectly.
  double operator()(const GlobalChoice&, const SharedShapes&);

 private:
  const std::vector<StageShape>& shapes_of_schedule(const GlobalChoice&);

  const Problem& problem_;
  const CostOracle& oracle_;
  std::map<std::tuple<std::string, int, int>, std::vector<StageShape>> schedules_;
};

}  // namespace trellis::exact_search
