#include "few_layers.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "reals.h"

namespace trellis::exact_search {
namespace {

constexpr double kMostWays = 100'000;

}  // namespace

FewLayers::FewLayers(const Task& task, Picoseconds known) : task_(task), known_(real(known)) {
  forwards_ = backwards_ = kInfinite;
  for (int s = 0; s < task.stages(); ++s) {
    forwards_ = std::min(forwards_, 1 + task.stage(s).extra_forward);
    backwards_ = std::min(backwards_, 1 + task.stage(s).extra_backward);
    budget_ = std::max(budget_, task.stage(s).budget);
  }
}

FewLayers::Ways* FewLayers::find(int stage, int first, int last) {
  if (last - first >= kMost) return nullptr;
  std::vector<int> key{task_.stage(stage).variant};
  for (int i = first; i <= last; ++i) {
    if (task_.has_savings(i)) return nullptr;
    key.push_back(task_.kind_number(i));
  }
  key.push_back(last + 1 < task_.layers() ? task_.kind_number(last + 1) : -1);
  const auto [found, fresh] = ways_.try_emplace(std::move(key));
  Ways& mine = found->second;
  if (fresh) {
    mine = ways(stage, first, last);
    mine.least.resize(static_cast<std::size_t>(task_.stages()));
    mine.asked.resize(static_cast<std::size_t>(task_.stages()));
  }
  return mine.too_many ? nullptr : &mine;
}

const FewLayers::Least* FewLayers::least(int stage, int first, int last) {
  Ways* const mine = find(stage, first, last);
  if (!mine) return nullptr;
  const auto s = static_cast<std::size_t>(stage);
  if (!mine->asked[s]) mine->asked[s] = true, mine->least[s] = least_of(*mine, stage);
  return &mine->least[s];
}

void FewLayers::Parts::lower(const Parts& other) {
  forward = std::min(forward, other.forward), backward = std::min(backward, other.backward);
  last_backward = std::min(last_backward, other.last_backward), update = std::min(update, other.update);
  send_forward = std::min(send_forward, other.send_forward);
  send_backward = std::min(send_backward, other.send_backward);
}

FewLayers::Parts FewLayers::infinite() {
  constexpr Picoseconds most{std::numeric_limits<std::int64_t>::max()};
  return {most, most, most, most, most, most};
}

std::optional<FewLayers::Parts> FewLayers::parts(int stage, int first, int last, double limit) {
  const Ways* const mine = find(stage, first, last);
  if (!mine) return std::nullopt;
  const StageShape& shape = task_.stage(stage);
  Parts parts = infinite();
  for (const Way& way : mine->all) {
    const StageTotal& t = way.total;
    if (t.memory(shape.in_flight) <= shape.budget && work(way, stage) < limit)
      parts.lower({t.forward, t.backward, t.last_backward, t.update, t.send_forward, way.send_backward});
  }
  return parts;
}

// Whether layers fit in some stage and do not take too long in each, whatever follows: then the gather of the last one's
// parameters may be hidden.
bool FewLayers::of_interest(const StageTotal& total, Picoseconds last_gather) const {
  return total.memory(1) <= budget_ &&
         forwards_ * real(total.forward) + backwards_ * real(total.backward - last_gather) < known_;
}

FewLayers::Ways FewLayers::ways(int stage, int first, int last) const {
  Ways ways;
  double count = 1;
  for (int i = first; i <= last; ++i) count *= static_cast<double>(task_.kind(i).options.size());
  if (count > kMostWays) return ways.too_many = true, ways;
  std::vector<EdgeCost> leaving;
  for (int o = 0; o < static_cast<int>(task_.kind(last).options.size()); ++o)
    leaving.push_back(cheapest_leaving(last, o));
  std::vector<int> options;
  const std::function<void(const StageSum&)> extend = [&](const StageSum& sum) {
    const int layer = first + static_cast<int>(options.size());
    for (int o = 0; o < static_cast<int>(task_.kind(layer).options.size()); ++o) {
      StageSum next = sum;
      if (layer == first) next.push(task_.cost(layer, o, stage), nullptr, nullptr, task_.slowdown());
      else
        next.push(task_.cost(layer, o, stage), &task_.cost(layer - 1, options.back(), stage),
                  &task_.edge(layer - 1, options.back(), o, stage), task_.slowdown());
      const EdgeCost* edge = layer == last ? &leaving[static_cast<std::size_t>(o)] : nullptr;
      const StageTotal total = close(next, task_.cost(layer, o, stage), edge, nullptr, task_.slowdown());
      if (!of_interest(total, task_.cost(layer, o, stage).backward.gather)) continue;
      options.push_back(o);
      if (layer < last) extend(next);
      else ways.all.push_back({options, total, edge->send_backward});
      options.pop_back();
    }
  };
  extend({});
  return ways;
}

// Out of any stage to any option of the next one.
EdgeCost FewLayers::cheapest_leaving(int layer, int option) const {
  if (layer + 1 == task_.layers()) return {};
  std::optional<EdgeCost> least;
  for (int s = 0; s + 1 < task_.stages(); ++s)
    for (const int to : task_.kind(layer + 1).beginning.first) {
      const EdgeCost& e = task_.stage_edge(layer, option, to, s);
      if (!least) least = e;
      least->forward = std::min(least->forward, e.forward), least->backward = std::min(least->backward, e.backward);
      least->send_forward = std::min(least->send_forward, e.send_forward);
      least->send_backward = std::min(least->send_backward, e.send_backward);
      least->bytes = std::min(least->bytes, e.bytes), least->sent = std::min(least->sent, e.sent);
      least->kept = std::min(least->kept, e.kept);
    }
  return *least;
}

double FewLayers::once(const Way& way, int stage) const {
  const StageTotal& t = way.total;
  const double passes = real(t.forward) + real(t.backward) + real(t.send_forward) + real(way.send_backward);
  // Reductions of the first stage end the step.
  return stage == 0 ? passes + std::max(0.0, real(t.last_backward - t.backward)) : passes;
}

double FewLayers::work(const Way& way, int stage) const {
  const StageShape& shape = task_.stage(stage);
  const StageTotal& t = way.total;
  return once(way, stage) + shape.extra_forward * real(t.forward) + shape.extra_backward * real(t.backward) + real(t.update);
}

double FewLayers::turns(const Way& way, int stage) const {
  const StageShape& shape = task_.stage(stage);
  if (!shape.turns) return 0;
  const StageTotal& t = way.total;
  return once(way, stage) + real(t.send_forward) + real(way.send_backward) + real(t.update) +
         (1 + shape.turn_forward) * real(t.forward) + (1 + shape.turn_backward) * real(t.backward);
}

FewLayers::Least FewLayers::least_of(const Ways& ways, int stage) const {
  const StageShape& shape = task_.stage(stage);
  Least least{.once = kInfinite, .work = kInfinite, .options = {}, .turns = kInfinite};
  for (const Way& way : ways.all) {
    if (way.total.memory(shape.in_flight) > shape.budget) continue;
    least.once = std::min(least.once, once(way, stage)), least.turns = std::min(least.turns, turns(way, stage));
    if (const double mine = work(way, stage); mine < least.work) least.work = mine, least.options = way.options;
  }
  return least;
}

}  // namespace trellis::exact_search
