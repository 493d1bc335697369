#include "run/comm/grouped_world.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "run/comm/checked_comm.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

// A group of one rank: every operation is a copy, or nothing.
class SoloComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  WorkPtr all_gather(at::Tensor out, at::Tensor in) override { return copy(out, in); }
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override { return copy(out, in); }
  WorkPtr all_reduce(at::Tensor) override { return std::make_unique<DoneWork>(); }
  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override { return copy(out, in); }
  WorkPtr broadcast(at::Tensor, int) override { return std::make_unique<DoneWork>(); }
  WorkPtr send(at::Tensor, int, int) override { return alone("send"); }
  WorkPtr receive(at::Tensor, int, int) override { return alone("receive"); }
  void barrier() override {}

 private:
  static WorkPtr copy(at::Tensor& out, const at::Tensor& in) {
    out.view(-1).copy_(in.view(-1));
    return std::make_unique<DoneWork>();
  }
  static WorkPtr alone(const char* operation) {
    fail(ExitCode::failure, "{} in a group of one rank: there is no peer", operation);
  }
};

class SingleRankWorld final : public GroupedWorld {
 public:
  SingleRankWorld() : GroupedWorld(0, 1) { create_world_group(); }
  void shutdown() override { drop_groups(); }

 private:
  std::unique_ptr<Comm> make_group(const std::vector<int>&, int) override { return std::make_unique<SoloComm>(); }
};

}  // namespace

void GroupedWorld::check(const std::vector<int>& ranks) const {
  std::set<int> distinct(ranks.begin(), ranks.end());
  if (ranks.empty() || distinct.size() != ranks.size() || *distinct.begin() < 0 || *distinct.rbegin() >= size_)
    fail(ExitCode::failure, "group {}: expected distinct ranks below {}", group_name(ranks), size_);
}

// Every rank walks the same sorted list, so that two ranks never wait for each other in different groups.
void GroupedWorld::create_groups(const std::vector<std::vector<int>>& groups) {
  for (const auto& ranks : std::set(groups.begin(), groups.end())) {
    check(ranks);
    create(ranks);
  }
}

void GroupedWorld::create(const std::vector<int>& ranks) {
  const auto self = std::find(ranks.begin(), ranks.end(), rank_);
  if (self == ranks.end() || groups_.contains(ranks)) return;
  // Nothing moves in a group of one, so nothing is noted: no CheckedComm.
  groups_[ranks] = ranks.size() == 1 ? std::make_unique<SoloComm>()
                                     : std::unique_ptr<Comm>(std::make_unique<CheckedComm>(
                                           make_group(ranks, static_cast<int>(self - ranks.begin())), ranks, *this));
}

void GroupedWorld::create_world_group() {
  std::vector<int> all(static_cast<std::size_t>(size_));
  std::iota(all.begin(), all.end(), 0);
  create(all);
}

Comm& GroupedWorld::group(const std::vector<int>& ranks) {
  if (const auto found = groups_.find(ranks); found != groups_.end()) return *found->second;
  fail(ExitCode::failure, "rank {} asks for group {}, which create_groups() was not given", rank_, group_name(ranks));
}

std::unique_ptr<CommWorld> single_rank() { return std::make_unique<SingleRankWorld>(); }

}  // namespace trellis
