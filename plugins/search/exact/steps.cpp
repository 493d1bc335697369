#include "steps.h"

#include <algorithm>
#include <cmath>

#include "reals.h"
#include "task.h"

namespace trellis::exact_search {
namespace {

// As Slowdown::overlap, whose terms are exact in a double.
struct Overlap {
  double beyond;  // slowdown beyond 1
  double operator()(double busy, double link, double more) const {
    const double both = busy + more, longest = std::max(busy, link + more);
    return std::floor(longest + beyond * (both - longest));
  }
};

void lower(std::vector<double>& least, const std::vector<double>& other) {
  for (std::size_t i = 0; i < least.size(); ++i) least[i] = std::min(least[i], other[i]);
}
template <class Table>
void lower_passes(Table& least, const Table& other) {
  lower(least.forward, other.forward);
  lower(least.peaks.forward, other.peaks.forward);
  lower(least.peaks.backward, other.peaks.backward);
  lower(least.peaks.last, other.peaks.last);
  for (std::size_t g = 0; g < least.backward.size(); ++g) lower(least.backward[g], other.backward[g]);
}
void lower(StayTable& least, const StayTable& other) { lower_passes(least, other); }
void lower(LeaveTable& least, const LeaveTable& other) {
  lower_passes(least, other);
  lower(least.sends, other.sends);
}

// Beside what the next layer has gathered, or holds.
void push_peaks(PeakTable& peaks, const LayerCost& c, const EdgeCost& edge, Bytes next_gathered, Bytes next_held) {
  peaks.forward.push_back(real(std::max(c.forward_peak + next_gathered, c.kept + edge.bytes) - c.kept));
  peaks.backward.push_back(real(c.backward_peak + next_held - c.kept));
  peaks.last.push_back(real(c.last_peak + next_held - c.kept));
}

template <class Table>
Table least_of(const std::vector<Table>& tables) {
  Table least = tables.front();
  for (const Table& t : tables) lower(least, t);
  return least;
}

}  // namespace

Steps::Steps(const Task& task) : task_(task) {
  for (int s = 0; s < task.stages(); ++s)
    if (task.stage(s).variant == static_cast<int>(stage_of_.size())) stage_of_.push_back(s);
  variants_ = static_cast<int>(stage_of_.size());
  const std::size_t kinds = task.kinds().size();
  stay_.resize(kinds * kinds), leave_.resize(kinds * kinds), leaving_.resize(kinds * kinds);
  for (const Kind& kind : task.kinds()) {
    std::vector<int>& levels = levels_.emplace_back(1, 0);
    for (const Option& o : kind.options) levels.push_back(o.gather);
    std::ranges::sort(levels);
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    auto& gathered = gathered_.emplace_back(task.gathers().size(), kInfinite);
    gathered.front() = 0;  // also where a stage begins
    for (const Option& o : kind.options)
      for (const LayerCost& c : o.costs) {
        double& least = gathered[static_cast<std::size_t>(o.gather)];
        least = std::min(least, real(c.gathered));
      }
  }
  for (int i = 0; i + 1 < task.layers(); ++i) {
    const std::size_t p = pair(i);
    if (!stay_[p].empty()) continue;
    for (const int stage : stage_of_) stay_[p].push_back(stay_table(i, stage));
    stay_[p].push_back(least_of(stay_[p]));
    if (task.stages() > 1) make_leaving(i, p);
  }
  for (const int stage : stage_of_) end_.push_back(leave_table(task.layers() - 1, stage, -1));
  end_.push_back(least_of(end_));
}

std::size_t Steps::pair(int layer) const {
  return static_cast<std::size_t>(task_.kind_number(layer)) * task_.kinds().size() +
         static_cast<std::size_t>(task_.kind_number(layer + 1));
}

const StayTable& Steps::stay(int layer, int variant) const { return stay_[pair(layer)][number(variant)]; }

const LeaveTable& Steps::leave(int layer, int stage, int variant) const {
  const std::size_t p = pair(layer);
  const std::size_t at = variant == kLeast ? static_cast<std::size_t>(task_.stages()) - 1 : static_cast<std::size_t>(stage);
  return leave_[p][leaving_[p][at]];
}

const std::vector<int>& Steps::levels_before(int layer) const {
  return layer == 0 ? none_ : levels_[static_cast<std::size_t>(task_.kind_number(layer - 1))];
}

double Steps::gathered_before(int layer, int level) const {
  if (layer == 0) return 0;
  return gathered_[static_cast<std::size_t>(task_.kind_number(layer - 1))][static_cast<std::size_t>(level)];
}

// Few stages differ in what leaving them costs.
void Steps::make_leaving(int layer, std::size_t p) {
  for (int s = 0; s + 1 < task_.stages(); ++s) {
    int like = 0;
    while (like < s && !(task_.stage(like).variant == task_.stage(s).variant && task_.leave_alike(layer, like, s))) ++like;
    if (like == s) leave_[p].push_back(leave_table(layer, s, s));
    leaving_[p].push_back(like == s ? leave_[p].size() - 1 : leaving_[p][static_cast<std::size_t>(like)]);
  }
  leave_[p].push_back(least_of(leave_[p]));
  leaving_[p].push_back(leave_[p].size() - 1);
}

StayTable Steps::stay_table(int layer, int stage) const {
  const Overlap overlap{task_.slowdown().beyond_one() / 1024.0};
  StayTable table;
  table.backward.resize(task_.gathers().size());
  for (const int to : task_.kind(layer + 1).arriving.first)
    for (const int from : task_.kind(layer).leaving.first) {
      const LayerCost &c = task_.cost(layer, from, stage), &n = task_.cost(layer + 1, to, stage);
      const EdgeCost& e = task_.edge(layer, from, to, stage);
      table.forward.push_back(
          overlap(real(c.forward.busy + e.forward), real(c.forward.link + e.forward), real(n.forward.gather)));
      push_peaks(table.peaks, c, e, n.gathered, n.held);
      for (std::size_t g = 0; g < table.backward.size(); ++g)
        table.backward[g].push_back(overlap(real(c.backward.busy + e.backward), real(c.backward.link + e.backward),
                                            real(n.reduce_each) + real(task_.gathers()[g])));
    }
  return table;
}

LeaveTable Steps::leave_table(int layer, int stage, int edge_of) const {
  static const EdgeCost none;
  static const std::vector<int> nowhere{-1};
  const Overlap overlap{task_.slowdown().beyond_one() / 1024.0};
  LeaveTable table;
  table.backward.resize(task_.gathers().size());
  for (const int to : edge_of < 0 ? nowhere : task_.kind(layer + 1).beginning.first)
    for (const int from : task_.kind(layer).leaving.first) {
      const LayerCost& c = task_.cost(layer, from, stage);
      const EdgeCost& e = edge_of < 0 ? none : task_.stage_edge(layer, from, to, edge_of);
      table.forward.push_back(real(c.forward.busy + e.forward));
      push_peaks(table.peaks, c, e, {}, {});
      table.sends.push_back(real(e.send_forward) + real(e.send_backward));
      for (std::size_t g = 0; g < table.backward.size(); ++g)
        table.backward[g].push_back(overlap(real(c.backward.busy + e.backward), real(c.backward.link + e.backward),
                                            real(task_.gathers()[g])) +
                                    real(c.backward.gather));
    }
  return table;
}

}  // namespace trellis::exact_search
