// A world in which nobody else is: every collective is finished when it starts, and leaves in its output what this rank
// put in. For running a rank's program by itself.
#pragma once

#include <map>

#include "trellis/run/comm.h"

namespace trellis::profile {

class SilentWorld final : public CommWorld {
 public:
  explicit SilentWorld(int size) : size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  void create_groups(const std::vector<std::vector<int>>&) override {}
  Comm& group(const std::vector<int>& ranks) override;
  void shutdown() override { groups_.clear(); }

 private:
  int size_;
  std::map<std::vector<int>, std::unique_ptr<Comm>> groups_;
};

}  // namespace trellis::profile
