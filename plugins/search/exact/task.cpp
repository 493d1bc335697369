#include "task.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "trellis/plan/error.h"

namespace trellis::exact_search {
namespace {

// How one stage's times bound the step, from its actions (planner.md 5.3). What happens before the first backward can
// end, and what follows it; or all that is done before the last forward, and the chain after it.
StageShape shape_of(const std::vector<Action>& actions, bool flushes) {
  StageShape shape;
  shape.in_flight = in_flight(actions);
  int forwards = 0, backwards = 0, after_first_backward = 0, before_last_forward = 0;
  for (const Action& a : actions) {
    if (a.kind == ActionKind::forward) ++forwards, after_first_backward += backwards > 0, before_last_forward = backwards;
    if (a.kind == ActionKind::backward) ++backwards;
  }
  shape.extra_backward = std::max(0, backwards - 1);
  shape.turns = before_last_forward > 0;
  shape.turn_forward = std::max(0, after_first_backward - 1), shape.turn_backward = std::max(0, before_last_forward - 1);
  // Where all forwards of the last stage come before its backwards, the last forward is on the way of the first
  // backward.
  shape.extra_forward = flushes ? std::max(0, forwards - 1) : after_first_backward;
  return shape;
}

bool forwards_first(const std::vector<Action>& actions) {
  bool backward = false;
  for (const Action& a : actions) {
    if (a.kind == ActionKind::backward) backward = true;
    if (a.kind == ActionKind::forward && backward) return false;
  }
  return true;
}

// Everything about a cost that matters; smaller is never worse.
std::array<std::int64_t, 19> comparable(const LayerCost& c) {
  return {c.forward.busy.value,  c.forward.link.value,    c.forward.gather.value, c.backward.busy.value,
          c.backward.link.value, c.backward.gather.value, c.reduce_each.value,    c.reduce_last.value,
          c.update.value,        c.states.value,          c.kept.value,           c.forward_peak.value,
          c.backward_peak.value, c.last_peak.value,       c.gathered.value,       c.held.value,
          c.pending.value,       c.early.value,           c.update_bytes.value};
}

// A few levels are enough for a bound: each value counts as the next lower one.
void thin_out(std::vector<Picoseconds>& values) {
  constexpr std::size_t kLevels = 32;
  for (double apart = 1.01; values.size() > kLevels; apart *= 1.02) {
    std::vector<Picoseconds> left{values.front()};
    for (const Picoseconds v : values)
      if (static_cast<double>(v.value) > apart * static_cast<double>(left.back().value)) left.push_back(v);
    values = std::move(left);
  }
}

bool no_worse(const Option& a, const Option& b) {
  for (std::size_t v = 0; v < a.costs.size(); ++v) {
    const auto x = comparable(a.costs[v]), y = comparable(b.costs[v]);
    for (std::size_t k = 0; k < x.size(); ++k)
      if (x[k] > y[k]) return false;
  }
  return true;
}

}  // namespace

std::vector<StageShape> stage_shapes(const std::vector<std::vector<Action>>& actions) {
  const bool flushes = forwards_first(actions.back());
  std::vector<StageShape> shapes;
  for (const auto& mine : actions) shapes.push_back(shape_of(mine, flushes));
  return shapes;
}

Task::Task(const Problem& problem, const CostOracle& oracle, const GlobalChoice& choice, const SharedShapes& shapes,
           Keep keep)
    : problem_(problem),
      oracle_(oracle),
      choice_(choice),
      shapes_(shapes),
      slowdown_(oracle.slowdown()),
      keep_(keep),
      shared_(shared_layers(*problem.model)),
      overhead_(oracle.step_overhead(choice)) {
  make_stages();
  make_kinds();
  if (impossible_) return;
  join_multiples();
  make_edges();
  make_ties();
  compare_to_come();
  make_classes();
  steps_ = std::make_unique<const Steps>(*this);
}

void Task::make_stages() {
  const PipelineSchedule& schedule = oracle_.schedule(choice_);
  for (int s = 0; s < choice_.stages; ++s)
    actions_.push_back(schedule.actions(choice_.schedule, s, choice_.stages, choice_.micro_batches));
  stages_ = stage_shapes(actions_);
  for (int s = 0; s < choice_.stages; ++s) {
    StageShape& shape = stages_[static_cast<std::size_t>(s)];
    shape.budget = problem_.stage_budget(choice_, s);
    const int like = oracle_.alike(choice_, s);
    const auto known = std::ranges::find(variants_, like);
    shape.variant = static_cast<int>(known - variants_.begin());
    if (known == variants_.end()) variants_.push_back(like);
  }
}

void Task::cap(Bytes most) {
  for (StageShape& shape : stages_) shape.budget = std::min(shape.budget, most);
}

void Task::give(Bytes budget) {
  for (StageShape& shape : stages_) shape.budget = budget;
}

int Task::multiples_of(const Placement& placement) {
  const Multiples mine{placement.multiple(kBatch), placement.multiple(kSequence)};
  const auto known = std::ranges::find(multiples_, mine);
  if (known == multiples_.end()) return multiples_.push_back(mine), static_cast<int>(multiples_.size()) - 1;
  return static_cast<int>(known - multiples_.begin());
}

void Task::make_kinds() {
  std::map<const std::vector<Candidate>*, int> numbers;
  multiples_.push_back({});  // of no layer at all
  const int count = static_cast<int>(problem_.model->layers.size());
  std::vector<bool> shares(static_cast<std::size_t>(count), false);
  for (const SharedLayers& pair : shared_)
    shares[static_cast<std::size_t>(pair.owner)] = shares[static_cast<std::size_t>(pair.use)] = true;
  for (int i = 0; i < count; ++i) {
    const std::vector<Candidate>& all = problem_.candidates(i, choice_);
    const auto [number, fresh] = numbers.try_emplace(&all, static_cast<int>(kinds_.size()));
    kind_of_.push_back(number->second);
    if (!fresh) continue;
    Kind& kind = kinds_.emplace_back();
    kind.layer = i;
    for (int c = 0; c < static_cast<int>(all.size()); ++c) {
      const Placement& placement = all[static_cast<std::size_t>(c)].placement;
      // A plan has these shapes only if all its layers' multiples divide them.
      if (shapes_.micro_batch % placement.multiple(kBatch) != 0) continue;
      ++candidates_seen;
      Option option{.candidate = c, .stand_in = c};
      try {
        for (const int stage : variants_)
          option.costs.push_back(oracle_.layer(i, all[static_cast<std::size_t>(c)], where(stage)));
      } catch (const Error& error) {
        if (error.code() != ExitCode::infeasible) throw;
        continue;
      }
      option.shapes = multiples_of(placement);
      kind.options.push_back(std::move(option));
    }
    find_stand_ins(kind, shares[static_cast<std::size_t>(i)]);
    if (kind.options.empty()) impossible_ = true;
  }
  gathers_.push_back(Picoseconds{0});
  for (const Kind& kind : kinds_)
    for (const Option& option : kind.options)
      for (const LayerCost& cost : option.costs) gathers_.push_back(cost.backward.gather);
  std::ranges::sort(gathers_);
  gathers_.erase(std::unique(gathers_.begin(), gathers_.end()), gathers_.end());
  thin_out(gathers_);
  for (Kind& kind : kinds_)
    for (Option& option : kind.options) {
      Picoseconds least = option.costs.front().backward.gather;
      for (const LayerCost& cost : option.costs) least = std::min(least, cost.backward.gather);
      option.gather = static_cast<int>(std::ranges::upper_bound(gathers_, least) - gathers_.begin()) - 1;
    }
}

// Another candidate with the same edges and shapes that is nowhere worse can stand in its place in every plan. Costs of
// what is shared depend on the candidate itself, so there all stay.
void Task::find_stand_ins(Kind& kind, bool shares) {
  if (shares) return;
  std::vector<Option>& options = kind.options;
  const auto dominates = [&](std::size_t b, std::size_t a) {
    const Option &other = options[b], &mine = options[a];
    return a != b && other.shapes == mine.shapes && other.costs[0].entry == mine.costs[0].entry &&
           other.costs[0].exit == mine.costs[0].exit && no_worse(other, mine) &&
           (!no_worse(mine, other) || b < a);  // of equals the first stays
  };
  std::vector<std::size_t> left, dominated;
  for (std::size_t a = 0; a < options.size(); ++a) {
    bool stays = true;
    for (std::size_t b = 0; b < options.size() && stays; ++b) stays = !dominates(b, a);
    (stays ? left : dominated).push_back(a);
  }
  for (const std::size_t a : dominated)
    options[a].stand_in = options[*std::ranges::find_if(left, [&](std::size_t b) { return dominates(b, a); })].candidate;
  if (keep_ == Keep::all) return;
  candidates_dominated += static_cast<std::int64_t>(dominated.size());
  std::erase_if(options, [](const Option& o) { return o.stand_in != o.candidate; });
}

void Task::join_multiples() {
  // All that combinations of layers can lead to.
  for (std::size_t a = 0; a < multiples_.size(); ++a)
    for (std::size_t b = 0; b <= a; ++b) {
      const Multiples both{std::lcm(multiples_[a].batch, multiples_[b].batch),
                           std::lcm(multiples_[a].sequence, multiples_[b].sequence)};
      if (std::ranges::count(multiples_, both) == 0) multiples_.push_back(both);
    }
  const std::int64_t samples = (choice_.batch + choice_.micro_batches - 1) / choice_.micro_batches;
  for (const Multiples& m : multiples_) {
    auto& row = joins_.emplace_back();
    for (const Multiples& other : multiples_) {
      const Multiples both{std::lcm(m.batch, other.batch), std::lcm(m.sequence, other.sequence)};
      row.push_back(static_cast<int>(std::ranges::find(multiples_, both) - multiples_.begin()));
    }
    const SharedShapes shapes{(samples + m.batch - 1) / m.batch * m.batch,
                              pads_sequences(*problem_.model, m.sequence) ? m.sequence : 1};
    right_.push_back(shapes == shapes_);
  }
  // Every layer has some candidate, so what no plan reaches need not be right; it is enough to look at sums of options.
  all_right_ = std::ranges::all_of(right_, [](bool right) { return right; });
}

const Candidate& Task::candidate(int layer, int option) const {
  return problem_.candidates(
      layer, choice_)[static_cast<std::size_t>(kind(layer).options[static_cast<std::size_t>(option)].candidate)];
}

namespace {

std::vector<int> dense(const std::vector<Option>& options, int LayerCost::*member, std::vector<int>& first) {
  std::map<int, int> numbers;
  std::vector<int> classes;
  for (std::size_t o = 0; o < options.size(); ++o) {
    const auto [number, fresh] =
        numbers.try_emplace(options[o].costs.front().*member, static_cast<int>(numbers.size()));
    if (fresh) first.push_back(static_cast<int>(o));
    classes.push_back(number->second);
  }
  return classes;
}

}  // namespace

void Task::make_edges() {
  edges_.resize(kinds_.size(), std::vector<EdgeTable>(kinds_.size()));
  for (int i = 0; i + 1 < layers(); ++i) {
    EdgeTable& table = edges_[static_cast<std::size_t>(kind_number(i))][static_cast<std::size_t>(kind_number(i + 1))];
    if (!table.exit.empty()) continue;
    std::vector<int> from, to;  // an option of each class
    table.exit = dense(kind(i).options, &LayerCost::exit, from);
    table.entry = dense(kind(i + 1).options, &LayerCost::entry, to);
    table.entries = static_cast<int>(to.size());
    for (const int stage : variants_) {
      auto& costs = table.inside.emplace_back();
      for (const int a : from)
        for (const int b : to) costs.push_back(oracle_.edge(i, candidate(i, a), candidate(i + 1, b), where(stage)));
    }
    for (int s = 0; s + 1 < stages(); ++s) {
      auto& costs = table.leaving.emplace_back();
      for (const int a : from)
        for (const int b : to) costs.push_back(oracle_.stage_edge(i, candidate(i, a), candidate(i + 1, b), where(s)));
    }
  }
}

const EdgeCost& Task::edge(int layer, int from, int to, int stage) const {
  const EdgeTable& t =
      edges_[static_cast<std::size_t>(kind_number(layer))][static_cast<std::size_t>(kind_number(layer + 1))];
  return t.inside[static_cast<std::size_t>(this->stage(stage).variant)][static_cast<std::size_t>(
      t.exit[static_cast<std::size_t>(from)] * t.entries + t.entry[static_cast<std::size_t>(to)])];
}

const EdgeCost& Task::stage_edge(int layer, int from, int to, int stage) const {
  const EdgeTable& t =
      edges_[static_cast<std::size_t>(kind_number(layer))][static_cast<std::size_t>(kind_number(layer + 1))];
  return t.leaving[static_cast<std::size_t>(stage)][static_cast<std::size_t>(
      t.exit[static_cast<std::size_t>(from)] * t.entries + t.entry[static_cast<std::size_t>(to)])];
}

bool Task::leave_alike(int layer, int stage, int other) const {
  const EdgeTable& t =
      edges_[static_cast<std::size_t>(kind_number(layer))][static_cast<std::size_t>(kind_number(layer + 1))];
  return t.leaving[static_cast<std::size_t>(stage)] == t.leaving[static_cast<std::size_t>(other)];
}

void Task::make_ties() {
  savings_.resize(static_cast<std::size_t>(layers()));
  for (const SharedLayers& pair : shared_) {
    auto& both = ties_.emplace_back();
    const int owners = static_cast<int>(kind(pair.owner).options.size());
    const int uses = static_cast<int>(kind(pair.use).options.size());
    std::vector<Saving> most(static_cast<std::size_t>(uses));
    for (const bool same : {false, true}) {
      auto& table = both.emplace_back();
      for (int o = 0; o < owners; ++o)
        for (int u = 0; u < uses; ++u) {
          const TieCost cost = oracle_.tie(pair.owner, candidate(pair.owner, o), pair.use, candidate(pair.use, u), same,
                                           where(variants_.front()));
          Saving& saving = most[static_cast<std::size_t>(u)];
          saving.states = std::max(saving.states, cost.saved);
          saving.update = std::max(saving.update, cost.saved_update);
          table.push_back(cost);
        }
    }
    auto& mine = savings_[static_cast<std::size_t>(pair.use)];
    mine.resize(static_cast<std::size_t>(uses));
    for (std::size_t u = 0; u < mine.size(); ++u) mine[u].states += most[u].states, mine[u].update += most[u].update;
  }
}

const TieCost& Task::tie(std::size_t pair, int owner, int use, bool same_stage) const {
  const std::size_t uses = kind(shared_[pair].use).options.size();
  return ties_[pair][same_stage ? 1 : 0][static_cast<std::size_t>(owner) * uses + static_cast<std::size_t>(use)];
}

Saving Task::most_saved(int layer, int option) const {
  const auto& mine = savings_[static_cast<std::size_t>(layer)];
  return mine.empty() ? Saving{} : mine[static_cast<std::size_t>(option)];
}

// Of a layer whose neighbor is not known yet, the sums have all but these.
void Task::compare_to_come() {
  const auto open = [](const LayerCost& c) {
    return std::array<std::int64_t, 12>{c.forward.busy.value,  c.forward.link.value,    c.backward.busy.value,
                                        c.backward.link.value, c.backward.gather.value, c.reduce_last.value,
                                        c.kept.value,          c.forward_peak.value,    c.backward_peak.value,
                                        c.last_peak.value,     c.gathered.value,        c.pending.value};
  };
  for (Kind& kind : kinds_)
    for (const Option& a : kind.options)
      for (const Option& b : kind.options) {
        bool better = a.costs.front().exit == b.costs.front().exit;
        for (std::size_t v = 0; v < a.costs.size() && better; ++v) {
          const auto x = open(a.costs[v]), y = open(b.costs[v]);
          for (std::size_t k = 0; k < x.size(); ++k) better &= x[k] <= y[k];
        }
        kind.to_come.push_back(better);
      }
}

namespace {

template <class Key>
Kind::Classes classes(const std::vector<Option>& options, Key key) {
  Kind::Classes result;
  std::map<std::vector<std::int64_t>, int> numbers;
  for (std::size_t o = 0; o < options.size(); ++o) {
    std::vector<std::int64_t> all;
    for (const LayerCost& c : options[o].costs)
      for (const std::int64_t value : key(c)) all.push_back(value);
    const auto [number, fresh] = numbers.try_emplace(std::move(all), static_cast<int>(numbers.size()));
    if (fresh) result.first.push_back(static_cast<int>(o));
    result.of.push_back(number->second);
  }
  return result;
}

}  // namespace

void Task::make_classes() {
  using Values = std::vector<std::int64_t>;
  for (Kind& kind : kinds_) {
    kind.leaving = classes(kind.options, [](const LayerCost& c) {
      return Values{c.exit,
                    c.forward.busy.value,
                    c.forward.link.value,
                    c.backward.busy.value,
                    c.backward.link.value,
                    c.backward.gather.value,
                    (c.forward_peak - c.kept).value,
                    (c.backward_peak - c.kept).value,
                    (c.last_peak - c.kept).value};
    });
    kind.arriving = classes(kind.options, [](const LayerCost& c) {
      return Values{c.entry, c.forward.gather.value, c.reduce_each.value, c.gathered.value, c.held.value};
    });
    kind.beginning = classes(kind.options, [](const LayerCost& c) { return Values{c.entry}; });
  }
}

}  // namespace trellis::exact_search
