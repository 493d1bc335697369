#include "trail.h"

#include <algorithm>
#include <set>

namespace trellis::exact_search {
namespace {

using Marked = std::vector<std::vector<int>>;  // of a layer, [stage][label]: its mark, or none
constexpr int kNone = -1;

std::vector<Trail::Mark> marks_of(const Kind& kind, const Dominance& dominance, const History::Layer& labels, Marked& marked) {
  std::vector<Trail::Mark> marks;
  for (std::size_t s = 0; s < labels.size(); ++s)
    for (std::size_t l = 0; l < labels[s].size(); ++l)
      if (marked[s][l] != kNone) {
        marked[s][l] = static_cast<int>(marks.size());
        marks.push_back({.stage = static_cast<int>(s),
                         .candidate = kind.options[static_cast<std::size_t>(labels[s][l].option)].candidate,
                         .numbers = dominance.numbers(labels[s][l]),
                         .steps = {}});
      }
  return marks;
}

Marked none_of(const History::Layer& labels) {
  Marked marked;
  for (const auto& of_stage : labels) marked.emplace_back(of_stage.size(), kNone);
  return marked;
}

}  // namespace

Trail any_trail(const Task& task) {
  Trail trail;
  trail.marks.resize(static_cast<std::size_t>(task.layers()), std::vector<Trail::Mark>(1));
  for (int i = 0; i < task.layers(); ++i) {
    std::vector<Trail::Step>& steps = i == 0 ? trail.first : trail.marks[static_cast<std::size_t>(i) - 1].front().steps;
    std::set<int> candidates;
    for (const Option& option : task.kind(i).options) candidates.insert(option.stand_in);
    for (const int candidate : candidates)
      for (const bool leaves : {false, true}) steps.push_back({candidate, leaves, 0});
  }
  return trail;
}

Trail Tracks::followed(const Task& task, const Dominance& dominance, const History& history,
                       const std::vector<bool>& best) const {
  Trail trail;
  trail.marks.resize(layers_.size()), trail.by_step = dominance.by_step();
  Marked marked = none_of(history.last());
  for (std::size_t l = 0; l < best.size(); ++l)
    if (best[l]) marked.back()[l] = 0;
  trail.marks.back() = marks_of(task.kind(task.layers() - 1), dominance, history.last(), marked);
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const auto mark_of = [&](const Track& t) { return marked[static_cast<std::size_t>(t.stage)][static_cast<std::size_t>(t.at)]; };
    const auto step = [&](const Track& t) {
      const Option& option = task.kind(static_cast<int>(i)).options[static_cast<std::size_t>(t.option)];
      return Trail::Step{.candidate = option.candidate, .leaves = t.leaves, .mark = mark_of(t)};
    };
    std::vector<const Track*> leading;
    for (const Track& t : layers_[i])
      if (t.at != kNone && mark_of(t) != kNone) leading.push_back(&t);
    if (i == 0) {
      for (const Track* t : leading) trail.first.push_back(step(*t));
      break;
    }
    const History::Layer& labels = history.layer(static_cast<int>(i) - 1);
    Marked before = none_of(labels);
    const auto extended = [&](const Track& t) -> int& {
      return before[static_cast<std::size_t>(t.stage - (t.leaves ? 1 : 0))][static_cast<std::size_t>(t.from)];
    };
    for (const Track* t : leading) extended(*t) = 0;
    trail.marks[i - 1] = marks_of(task.kind(static_cast<int>(i) - 1), dominance, labels, before);
    for (const Track* t : leading) trail.marks[i - 1][static_cast<std::size_t>(extended(*t))].steps.push_back(step(*t));
    marked = std::move(before);
  }
  std::ranges::sort(trail.first, {}, &Trail::Step::key);
  for (auto& of_layer : trail.marks)
    for (Trail::Mark& mark : of_layer) std::ranges::sort(mark.steps, {}, &Trail::Step::key);
  return trail;
}

std::optional<int> Trail::next(int layer, int mark, int candidate, bool leaves) const {
  const std::vector<Step>& steps = this->steps(layer, mark);
  const auto found = std::ranges::lower_bound(steps, std::pair(candidate, leaves), {}, &Step::key);
  return found != steps.end() && found->key() == std::pair(candidate, leaves) ? std::optional(found->mark) : std::nullopt;
}

bool Trail::is_along(int layer, int mark, const Dominance& dominance, const Label& label) const {
  if (by_step != dominance.by_step()) return true;
  const Dominance::Numbers& least = marks[static_cast<std::size_t>(layer)][static_cast<std::size_t>(mark)].numbers;
  const Dominance::Numbers mine = dominance.numbers(label);
  return Dominance::no_worse(least, mine) && !dominance.surely_longer(mine, least);
}

}  // namespace trellis::exact_search
