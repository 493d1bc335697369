// What all worlds share: the groups of one rank, made once and found by their rank list.
#pragma once

#include <map>

#include "trellis/run/comm.h"

namespace trellis {

class GroupedWorld : public CommWorld {
 public:
  GroupedWorld(int rank, int size) : rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void create_groups(const std::vector<std::vector<int>>& groups) override;
  Comm& group(const std::vector<int>& ranks) override;
  bool connected() const { return !groups_.empty(); }  // false after shutdown()

 protected:
  // Called for groups of two and more that this rank belongs to, in one global order. `rank` is within the group.
  virtual std::unique_ptr<Comm> make_group(const std::vector<int>& ranks, int rank) = 0;
  void create_world_group();  // for the constructors of derived classes
  void drop_groups() { groups_.clear(); }

 private:
  void check(const std::vector<int>& ranks) const;
  void create(const std::vector<int>& ranks);

  int rank_;
  int size_;
  std::map<std::vector<int>, std::unique_ptr<Comm>> groups_;
};

// An operation that was finished when it started.
class DoneWork final : public Work {
 public:
  void wait() override {}
};

}  // namespace trellis
