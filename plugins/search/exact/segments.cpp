#include "segments.h"

#include <algorithm>
#include <map>

#include "reals.h"

namespace trellis::exact_search {
namespace {

constexpr double kApart = 5e-4;  // of the step, between two limits of the slowest stage

// Entry by entry the greater; what one of them leaves out is hopeless.
void raise(std::vector<std::vector<double>>& table, const std::vector<std::vector<double>>& other) {
  for (std::size_t e = 0; e < table.size(); ++e) {
    table[e].resize(std::min(table[e].size(), other[e].size()));
    for (std::size_t n = 0; n < table[e].size(); ++n) table[e][n] = std::max(table[e][n], other[e][n]);
  }
}

}  // namespace

Segments::Segments(const Task& task, Picoseconds known) : task_(task), known_(real(known)), few_(task, known) {}

// Whether the layer and the next one cannot be told apart.
bool Segments::alike(int layer) const {
  return layer + 1 < task_.layers() && task_.kind_number(layer) == task_.kind_number(layer + 1) &&
         !task_.has_savings(layer) && !task_.has_savings(layer + 1);
}

int Segments::first_of_run(int layer) const {
  while (layer > 0 && alike(layer - 1)) --layer;
  return layer;
}

// Earlier stages have a layer each at the least; the first one begins with the model.
bool Segments::may_begin(int stage, int layer) const { return stage == 0 ? layer == 0 : layer >= stage; }

// Intervals up to `known` each, or those of another table.
Segments::Table Segments::walked(int stage, const StageWalk& walk, const Table* those) {
  const int layers = task_.layers(), later = task_.stages() - 1 - stage;
  Table table(static_cast<std::size_t>(layers));
  std::vector<StageWalk::Values> shared;  // of the run that the last layer is in the midst of, by number of layers
  int run = -1;
  for (int last = layers - 1 - later; last >= stage; --last) {
    if (later == 0 && last + 1 < layers) break;
    auto& mine = table[static_cast<std::size_t>(last)];
    const int begin = first_of_run(last);
    const bool inside = alike(last);
    if (inside && run != begin) shared.clear(), run = begin;
    StageWalk::Values values;
    const int most = those ? static_cast<int>((*those)[static_cast<std::size_t>(last)].size()) : last + 1;
    for (int layer = last, n = 0; n < most; --layer, ++n) {
      const bool known = inside && layer >= begin && n < static_cast<int>(shared.size());
      if (known) {
        values = shared[static_cast<std::size_t>(n)];
      } else {
        StageWalk::Values next = std::exchange(values, walk.nothing(layer));
        if (n > 0) walk.stay_all(layer, n, next, values);
        else if (later == 0) walk.end(layer, values);
        else walk.leave_all(layer, std::vector<double>(task_.kind(layer + 1).beginning.first.size(), 0.0), values);
        ++walks_;
        if (inside && layer >= begin) shared.push_back(values);
      }
      // A longer one takes no less.
      if (!those && *std::ranges::min_element(values) - walk.budget() >= known_) break;
      mine.push_back(may_begin(stage, layer) ? walk.begin(layer, n, values) : kInfinite);
    }
  }
  return table;
}

std::int64_t Segments::price(const std::vector<double>& memory) {
  const std::int64_t before = walks_;
  std::vector<Stage> priced;
  for (int s = 0; s < task_.stages(); ++s) priced.push_back(priced_stage(s, memory[static_cast<std::size_t>(s)], &reduce_beside));
  Stage first = priced_stage(0, memory.front(), &reduce_alone);
  raise(priced.front().once, first.once), raise(priced.front().work, first.work);
  if (stages_.empty()) stages_ = std::move(priced);
  else
    for (std::size_t s = 0; s < stages_.size(); ++s)
      raise(stages_[s].once, priced[s].once), raise(stages_[s].work, priced[s].work);
  return walks_ - before;
}

Segments::Stage Segments::priced_stage(int stage, double price, void (*reduce)(const Task&, StageWeights&)) {
  const StageShape& shape = task_.stage(stage);
  const double times = 1 + std::max(shape.extra_forward, shape.extra_backward);  // a price in proportion
  StageWeights work{.forward = 1 + shape.extra_forward, .backward = 1 + shape.extra_backward, .update = 1, .memory = price};
  StageWeights once{.memory = price / times};
  if (stage == 0) reduce(task_, work), reduce(task_, once);
  Stage result{.once = {}, .work = walked(stage, StageWalk(task_, stage, work), nullptr)};
  result.once = walked(stage, StageWalk(task_, stage, once), &result.work);
  return result;
}

void Segments::enumerate() {
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    stages_[s].turns.resize(stages_[s].once.size());
    for (int last = 0; last < task_.layers(); ++last) {
      stages_[s].turns[static_cast<std::size_t>(last)].resize(stages_[s].once[static_cast<std::size_t>(last)].size());
      auto &once = stages_[s].once[static_cast<std::size_t>(last)], &work = stages_[s].work[static_cast<std::size_t>(last)];
      for (std::size_t n = 0; n < std::min<std::size_t>({once.size(), work.size(), FewLayers::kMost}); ++n) {
        if (once[n] == kInfinite) continue;
        const FewLayers::Least* least = few_.least(static_cast<int>(s), last - static_cast<int>(n), last);
        if (!least) break;
        once[n] = std::max(once[n], least->once), work[n] = std::max(work[n], least->work);
        stages_[s].turns[static_cast<std::size_t>(last)][n] = least->turns;
      }
    }
  }
}

double Segments::beside() const { return real(task_.overhead()) - (task_.slowdown().beyond_one() > 0 ? 1 : 0); }

// Whether, as this stage, the interval leads to no step of `limit` by itself, whatever the other stages are.
bool Segments::may_be(std::size_t s, std::size_t last, std::size_t n, const Chains& chains, double limit) const {
  const Stage& stage = stages_[s];
  const double before = chains.before[s][last - n], behind = chains.behind[s + 1][last + 1];
  return before + stage.work[last][n] + behind + beside() < limit &&
         (stage.turns[last][n] == 0 || before + stage.turns[last][n] + 2 * behind + beside() < limit);
}

Segments::Chains Segments::chains(const Chains* known, double limit) const {
  const auto layers = static_cast<std::size_t>(task_.layers()), stages = stages_.size();
  const std::vector<std::vector<double>> none(stages + 1, std::vector<double>(layers + 1, kInfinite));
  Chains chains{none, none};
  chains.before[0][0] = chains.behind[stages][layers] = 0;
  const auto each = [&](std::size_t s, auto work) {
    for (std::size_t last = 0; last < layers; ++last)
      for (std::size_t n = 0; n < std::min({stages_[s].once[last].size(), stages_[s].work[last].size(), last + 1}); ++n)
        if (!known || may_be(s, last, n, *known, limit)) work(last, last - n, stages_[s].once[last][n]);
  };
  for (std::size_t s = 0; s < stages; ++s)
    each(s, [&](std::size_t last, std::size_t first, double once) {
      chains.before[s + 1][last + 1] = std::min(chains.before[s + 1][last + 1], chains.before[s][first] + once);
    });
  for (std::size_t s = stages; s-- > 0;)
    each(s, [&](std::size_t last, std::size_t first, double once) {
      chains.behind[s][first] = std::min(chains.behind[s][first], chains.behind[s + 1][last + 1] + once);
    });
  return chains;
}

// Intervals that are left make the chains of the others longer, which may leave out further ones.
Segments::Chains Segments::within(double limit) const {
  constexpr int kRounds = 3;
  Chains chains = this->chains(nullptr, limit);
  for (int i = 0; i < kRounds && chains.behind[0][0] < kInfinite; ++i) chains = this->chains(&chains, limit);
  return chains;
}

double Segments::least_limit(double from) const {
  constexpr double kNear = 1e-4;
  double low = from, high = known_;
  if (within(high).behind[0][0] == kInfinite) return kInfinite;
  while (high - low > kNear * known_) {
    const double middle = (low + high) / 2;
    (within(middle).behind[0][0] == kInfinite ? low : high) = middle;
  }
  return low;
}

double Segments::replayed() {
  const Chains chains = within(known_);
  if (chains.behind[0][0] == kInfinite) return kInfinite;
  std::vector<StageTotal> totals(stages_.size());
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    struct Interval {
      int first = 0, last = 0;
      double limit = 0;
    };
    std::map<const void*, Interval> intervals;  // one of those that are alike
    for (std::size_t last = 0; last < static_cast<std::size_t>(task_.layers()); ++last)
      for (std::size_t n = 0; n < std::min({stages_[s].once[last].size(), stages_[s].work[last].size(), last + 1}); ++n) {
        if (!may_be(s, last, n, chains, known_)) continue;
        const Interval mine{static_cast<int>(last - n), static_cast<int>(last),
                            known_ - chains.before[s][last - n] - chains.behind[s + 1][last + 1] - beside()};
        const void* const ways = few_.alike(static_cast<int>(s), mine.first, mine.last);
        if (!ways) return 0;
        Interval& widest = intervals[ways];
        if (mine.limit > widest.limit) widest = mine;
      }
    FewLayers::Parts least = FewLayers::infinite();
    for (const auto& [ways, i] : intervals) least.lower(*few_.parts(static_cast<int>(s), i.first, i.last, i.limit));
    if (least.forward == FewLayers::infinite().forward) return kInfinite;
    StageTotal& total = totals[s];
    total.forward = least.forward, total.backward = least.backward, total.last_backward = least.last_backward;
    total.update = least.update, total.send_forward = least.send_forward;
    if (s + 1 < stages_.size()) totals[s + 1].send_backward = least.send_backward;
  }
  return real(step_time(totals, task_.actions(), {}, task_.overhead()));
}

std::optional<Choice> Segments::fastest(const std::vector<int>& ends) {
  Choice choice{.options = {}, .ends = ends};
  int first = 0;
  for (std::size_t s = 0; s < ends.size(); first = ends[s++] + 1) {
    const FewLayers::Least* least = few_.least(static_cast<int>(s), first, ends[s]);
    if (!least || least->options.empty()) return std::nullopt;
    choice.options.insert(choice.options.end(), least->options.begin(), least->options.end());
  }
  return choice;
}

// The cut whose stages take the least once, of those in which none has more besides than this.
Segments::Cut Segments::shortest(double slowest) const {
  const auto layers = static_cast<std::size_t>(task_.layers()), stages = stages_.size();
  std::vector<std::vector<double>> least(stages + 1, std::vector<double>(layers + 1, kInfinite));
  std::vector<std::vector<std::size_t>> begin(stages + 1, std::vector<std::size_t>(layers + 1, 0));
  least[0][0] = 0;
  for (std::size_t s = 0; s < stages; ++s)
    for (std::size_t last = 0; last < layers; ++last) {
      const auto &once = stages_[s].once[last], &work = stages_[s].work[last];
      for (std::size_t n = 0; n < std::min({once.size(), work.size(), last + 1}); ++n) {
        if (once[n] == kInfinite || work[n] - once[n] > slowest) continue;
        const double sum = least[s][last - n] + once[n];
        if (sum < least[s + 1][last + 1]) least[s + 1][last + 1] = sum, begin[s + 1][last + 1] = last - n;
      }
    }
  Cut cut{.chain = least[stages][layers], .ends = std::vector<int>(stages)};
  for (std::size_t s = stages, n = layers; s > 0; n = begin[s][n], --s) cut.ends[s - 1] = static_cast<int>(n) - 1;
  return cut;
}

// The least that the slowest stage of any cut has besides.
double Segments::least_slowest() const {
  const auto layers = static_cast<std::size_t>(task_.layers());
  std::vector<double> worst(layers + 1, kInfinite);
  worst[0] = -kInfinite;
  for (const Stage& stage : stages_) {
    std::vector<double> next(layers + 1, kInfinite);
    for (std::size_t last = 0; last < layers; ++last) {
      const auto &once = stage.once[last], &work = stage.work[last];
      for (std::size_t n = 0; n < std::min({once.size(), work.size(), last + 1}); ++n)
        if (once[n] < kInfinite)
          next[last + 1] = std::min(next[last + 1], std::max(worst[last - n], work[n] - once[n]));
    }
    worst = std::move(next);
  }
  return worst[layers];
}

// Plans whose slowest stage is between two limits take the upper one's chain and the lower one's rest at the least.
Segments::Best Segments::best() const {
  const double beside = this->beside(), least = shortest(kInfinite).chain + beside;
  Best best{.bound = kInfinite, .ends = {}};
  double lower = least_slowest();
  if (lower == kInfinite) return best;
  double reached = kInfinite;  // by the bounds of the cut's own stages
  for (double slowest = lower; least + lower < known_; slowest += kApart * known_) {
    const Cut cut = shortest(slowest);
    const double chain = cut.chain + beside;
    best.bound = std::min(best.bound, chain + lower);
    if (chain + slowest < reached) reached = chain + slowest, best.ends = cut.ends;
    if (chain <= least) break;  // a slower one gains nothing
    lower = slowest;
  }
  return best;
}

}  // namespace trellis::exact_search
