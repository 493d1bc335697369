// What the reference says that a layer costs (its layer and embedding cost models), with its defects.
#pragma once

#include <vector>

#include "layout.h"
#include "profile.h"

namespace trellis::galvatron {

struct LayerTime {
  double sync = 0, no_sync = 0;  // seconds of one layer and micro-batch, with and without gradient reduction
};

struct LayerMemory {
  double states = 0, activation = 0;  // MB of one layer on one device
  double total() const { return states + activation; }
};

struct VocabularyCost {
  std::vector<double> sync, no_sync;  // seconds of a micro-batch, by stage
  std::vector<double> memory;         // MB, by stage, with what the framework itself takes
};

class CostModel {
 public:
  CostModel(const Settings& settings, const Profiles& profiles) : s_(settings), p_(profiles) {}

  LayerTime layer_time(const Layout&, const Task&) const;
  LayerMemory layer_memory(const Layout&, const Task&, int stage) const;
  VocabularyCost vocabulary(const Layout&, const Task&) const;
  double shared_buffer(const Task&) const;  // MB on every stage
  // Seconds that the dynamic programming charges where one layer's strategy follows another's.
  double transition(const Layout& from, const Layout& to, const Task&) const;

  const Settings& settings() const { return s_; }

 private:
  std::int64_t local_samples(const Layout&, const Task&) const;
  double zero_ratio(DpType, int devices, const Task&) const;
  double megabytes(std::int64_t samples) const;  // of one layer's activations in the precision of the model
  double communication(const Layout&, std::int64_t samples) const;
  std::vector<double> in_flight(const Task&) const;

  const Settings& s_;
  const Profiles& p_;
};

// MB that layers may take of a device. Defect of the reference: a fifth is held back for the allocator's cache, but of
// budgets above 20 GiB only, so that 21 GiB hold less than 20.
struct Budget {
  std::int64_t usable = 0, held_back = 0;
};
Budget budget_of(const Settings&);

}  // namespace trellis::galvatron
