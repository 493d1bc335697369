#include "trail.h"

#include <algorithm>

namespace trellis::exact_search {
namespace {

int exit_of(const Task& task, int layer, const Label& label) {
  return task.kind(layer).options[static_cast<std::size_t>(label.option)].costs.front().exit;
}

}  // namespace

Trail Tracks::followed(const Task& task, const Dominance& dominance, const History& history,
                       const std::vector<bool>& best) const {
  Trail trail{.marks = std::vector<std::vector<Trail::Mark>>(layers_.size()), .by_step = dominance.by_step()};
  const auto stages = static_cast<std::size_t>(task.stages());
  std::vector<std::vector<bool>> leads(stages);  // of the layer: [stage][label]
  leads.back() = best;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const History::Layer& labels = history.layer(static_cast<int>(i));
    for (std::size_t s = 0; s < stages; ++s)
      for (std::size_t l = 0; l < leads[s].size(); ++l)
        if (leads[s][l])
          trail.marks[i].push_back({static_cast<int>(s), exit_of(task, static_cast<int>(i), labels[s][l]),
                                    dominance.numbers(labels[s][l])});
    if (i == 0) break;
    std::vector<std::vector<bool>> before(stages);
    for (std::size_t s = 0; s < stages; ++s) before[s].resize(history.layer(static_cast<int>(i) - 1)[s].size());
    for (const Track& t : layers_[i])
      if (const auto& mine = leads[static_cast<std::size_t>(t.stage)]; !mine.empty() && mine[static_cast<std::size_t>(t.at)])
        before[static_cast<std::size_t>(t.from_stage)][static_cast<std::size_t>(t.from)] = true;
    leads = std::move(before);
  }
  return trail;
}

bool is_along(const Trail& trail, const Task& task, const Dominance& dominance, const Label& label, int layer, int stage) {
  if (!trail.known() || trail.by_step != dominance.by_step()) return true;
  const Dominance::Numbers mine = dominance.numbers(label);
  const int exit = exit_of(task, layer, label);
  return std::ranges::any_of(trail.marks[static_cast<std::size_t>(layer)], [&](const Trail::Mark& mark) {
    return mark.stage == stage && mark.exit == exit && Dominance::no_worse(mark.numbers, mine) &&
           !dominance.surely_longer(mine, mark.numbers);
  });
}

}  // namespace trellis::exact_search
