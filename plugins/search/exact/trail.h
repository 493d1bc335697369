// What has to be known of labels to find further plans that are as good as the best ones found.
//
// Labels that lead to these plans, directly or because they stood for one that does, are few. Take any other plan with
// the same step and largest stage. Its first layer is a label that the search has made, and its second one goes on from
// the label that stands for that, and so on: each is made, as it is nowhere worse than the plan that far, and leads to a
// best plan, as with the same layers behind it is nowhere worse than this one. So the plan follows steps between labels
// that are known, and can nowhere have taken surely longer: with its end the other one would be better than the best.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "dominance.h"
#include "history.h"
#include "task.h"

namespace trellis::exact_search {

struct Trail {
  // To a layer under this candidate, or one that it stands for (Option::stand_in).
  struct Step {
    int candidate = 0;
    bool leaves = false;  // as the first layer of the next stage
    int mark = 0;         // of that layer
    std::pair<int, bool> key() const { return {candidate, leaves}; }
  };
  struct Mark {
    int stage = 0, candidate = 0;
    Dominance::Numbers numbers;
    std::vector<Step> steps;  // sorted by key()
  };
  static constexpr int kBefore = -1;     // before the first layer, as a mark
  std::vector<std::vector<Mark>> marks;  // by layer; none where the trail is not known
  std::vector<Step> first;
  std::optional<bool> by_step;  // what the numbers are of; nothing where marks have none

  bool known() const { return !marks.empty(); }
  // From a mark of the layer before; before the first layer kBefore.
  const std::vector<Step>& steps(int layer, int mark) const {
    return mark == kBefore ? first : marks[static_cast<std::size_t>(layer) - 1][static_cast<std::size_t>(mark)].steps;
  }
  // The mark that such a step leads to; nothing where there is none.
  std::optional<int> next(int layer, int mark, int candidate, bool leaves) const;
  // Whether the label can be one that the mark is nowhere worse than, and that leads to as good a plan.
  bool is_along(int layer, int mark, const Dominance&, const Label&) const;
};

// Where nothing is known: one mark a layer, each candidate leads there.
Trail any_trail(const Task&);

// Makes the trail of a search.
class Tracks {
 public:
  // A layer's labels are final: for each that was made, the label it extends, and the place of the one that stands for
  // it, itself or another one of its stage.
  struct Track {
    int from = 0, at = -1, option = 0;
    std::int16_t stage = 0;
    bool leaves = false;  // the stage before, of which the label it extends is
  };
  void push(std::vector<Track> layer) { layers_.push_back(std::move(layer)); }

  // `best`: by label of the last layer and stage.
  Trail followed(const Task&, const Dominance&, const History&, const std::vector<bool>& best) const;

 private:
  std::vector<std::vector<Track>> layers_;
};

}  // namespace trellis::exact_search
