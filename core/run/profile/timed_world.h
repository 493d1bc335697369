// A world whose collectives are timed where they stand in a program.
#pragma once

#include <ctime>
#include <map>
#include <tuple>
#include <vector>

#include "trellis/plan/units.h"
#include "trellis/run/comm.h"

namespace trellis::profile {

// Seconds of single collectives, from their start to the end of their wait: by kind, ranks and bytes received.
using MoveTimes = std::map<std::tuple<MoveKind, int, Bytes>, std::vector<double>>;

double seconds_of(clockid_t clock);

class TimedWorld final : public CommWorld {
 public:
  // `clock`: by which spent() counts.
  TimedWorld(CommWorld& inner, clockid_t clock);
  ~TimedWorld() override;
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  void create_groups(const std::vector<std::vector<int>>& groups) override { inner_.create_groups(groups); }
  Comm& group(const std::vector<int>& ranks) override;
  void shutdown() override {}

  // Of those that were waited for at once; what something else hid says nothing about a collective.
  MoveTimes take();
  // Seconds inside collectives so far, whether they are kept or not.
  double spent() const;

  struct Notes;  // of all groups

 private:
  CommWorld& inner_;
  std::unique_ptr<Notes> notes_;
  std::map<std::vector<int>, std::unique_ptr<Comm>> groups_;
};

}  // namespace trellis::profile
