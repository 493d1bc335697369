#include "to_come.h"

#include <algorithm>
#include <map>
#include <utility>

namespace trellis::exact_search {

ToCome::ToCome(const Task& task, const Trail& trail, const std::vector<std::vector<int>>& strategies, int most)
    : task_(task), trail_(trail), strategies_(strategies) {
  std::int64_t steps = 0;  // no mark has more strategies behind it
  for (const auto& marks : trail.marks)
    for (const Trail::Mark& mark : marks) steps += 1 + static_cast<std::int64_t>(mark.steps.size());
  count_ = static_cast<std::size_t>(std::clamp<std::int64_t>(kMost / steps, 1, std::max(most, 0) + 2));
  behind_.resize(static_cast<std::size_t>(task.layers()));
  behind_.back().resize(trail.marks.back().size(), {.any = Needs(count_), .by_strategy = {}});
  for (int i = task.layers() - 2; i >= 0; --i)
    for (std::size_t mark = 0; mark < trail.marks[static_cast<std::size_t>(i)].size(); ++mark)
      behind_[static_cast<std::size_t>(i)].push_back(behind(i + 1, static_cast<int>(mark)));
  const Needs all = behind(0, Trail::kBefore).any;
  const auto fits = [&](const Need& n) { return std::max(n.at_passes, n.at_last) <= real(task.stage(0).budget); };
  const auto least = std::ranges::find_if(all, fits);
  least_changes_ = least == all.end() ? most + 1 : static_cast<int>(least - all.begin());
}

bool ToCome::may_end(int layer, int mark, int option, int changes) const {
  return !after(layer, mark, option, changes).never();
}

// The same sums as StageTotal::memory.
bool ToCome::may_fit(const Label& label, int layer, int stage, int changes) const {
  const Need rest = after(layer, label.prefix.mark, label.option, changes);
  const LayerCost& c = task_.cost(layer, label.option, stage);
  const StageSum& sum = label.sum;
  const double before = real(sum.kept), kept = real(sum.kept + c.kept);
  const double passes = std::max({real(sum.peak) + rest.passes,
                                  before + real(std::max(c.forward_peak, c.backward_peak + sum.gathered)) + rest.passes,
                                  kept + rest.at_passes});
  const double last = std::max({real(sum.last_peak + c.pending) + rest.last,
                                before + real(c.last_peak + sum.gathered) + rest.last, kept + rest.at_last});
  const double others = (task_.stage(stage).in_flight - 1) * kept;
  return real(sum.states) + std::max(passes + real(sum.early) + others, last) <= real(task_.stage(stage).budget);
}

void ToCome::Need::lower(const Need& other) {
  passes = std::min(passes, other.passes), last = std::min(last, other.last);
  at_passes = std::min(at_passes, other.at_passes), at_last = std::min(at_last, other.at_last);
}

// What begins with this layer of the stage. Its neighbors are left out, and what it shares may be counted elsewhere.
ToCome::Need ToCome::with(int layer, int option, int stage, const Need& rest) const {
  const LayerCost& c = task_.cost(layer, option, stage);
  const double states = real(c.states - task_.most_saved(layer, option).states), kept = real(c.kept);
  const double always = states + real(c.early) + (task_.stage(stage).in_flight - 1) * kept;
  const double peak = real(std::max(c.forward_peak, c.backward_peak));
  return {.passes = always + rest.passes,
          .last = states + real(c.pending) + rest.last,
          .at_passes = always + std::max(peak + rest.passes, kept + rest.at_passes),
          .at_last = states + std::max(real(c.last_peak) + rest.last, kept + rest.at_last)};
}

// Where steps lead from a mark of the layer before; where the next stage begins, this one needs nothing more.
ToCome::Behind ToCome::behind(int layer, int mark) const {
  const bool in_stage = trail_.by_step.has_value();  // else marks have no stage
  const int stage = mark == Trail::kBefore || !in_stage
                        ? 0
                        : trail_.marks[static_cast<std::size_t>(layer) - 1][static_cast<std::size_t>(mark)].stage;
  const std::vector<Option>& options = task_.kind(layer).options;
  std::map<int, Needs> by_strategy;
  for (const Trail::Step& step : trail_.steps(layer, mark)) {
    const Behind& next = behind_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(step.mark)];
    for (int o = 0; o < static_cast<int>(options.size()); ++o) {
      if (options[static_cast<std::size_t>(o)].stand_in != step.candidate) continue;
      Needs& mine = by_strategy.try_emplace(strategy(layer, o), count_, never()).first->second;
      for (std::size_t c = 0; c < count_; ++c) {
        const Need rest = after(next, strategy(layer, o), c);
        if (!rest.never()) mine[c].lower(in_stage && !step.leaves ? with(layer, o, stage, rest) : Need{});
      }
    }
  }
  Behind result{.any = Needs(count_, never()), .by_strategy = {by_strategy.begin(), by_strategy.end()}};
  for (const auto& [strategy, needs] : by_strategy)
    for (std::size_t c = 0; c < count_; ++c) result.any[c].lower(needs[c]);
  return result;
}

ToCome::Need ToCome::after(const Behind& behind, int strategy, std::size_t changes) const {
  const auto& by = behind.by_strategy;
  if (by.empty()) return behind.any[changes];  // the plan ends here, or nothing leads on
  const auto same = std::ranges::lower_bound(by, strategy, {}, [](const auto& one) { return one.first; });
  const bool goes_on = same != by.end() && same->first == strategy, more = changes + 1 == count_;
  if (changes == 0 && !more) return goes_on ? same->second[0] : never();
  Need least = behind.any[more ? changes : changes - 1];
  if (goes_on) least.lower(same->second[changes]);
  return least;
}

ToCome::Need ToCome::after(int layer, int mark, int option, int changes) const {
  if (changes < 0) return never();
  return after(behind_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(mark)], strategy(layer, option),
               std::min(static_cast<std::size_t>(changes), count_ - 1));
}

}  // namespace trellis::exact_search
