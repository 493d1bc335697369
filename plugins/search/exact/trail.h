// What has to be known of labels to find further plans that are as good as the best ones found.
//
// Labels that lead to these plans, directly or because they stood for one that does, are few. Take any other plan with
// the same step and largest stage: at each layer, some of them is nowhere worse than what it has behind it, as the search
// would else have met it. Neither can it then have taken surely longer: with its end the other one would be better than
// the best.
#pragma once

#include <vector>

#include "dominance.h"
#include "history.h"
#include "task.h"

namespace trellis::exact_search {

struct Trail {
  struct Mark {
    int stage = 0, exit = 0;
    Dominance::Numbers numbers;
  };
  std::vector<std::vector<Mark>> marks;  // by layer; none where the trail is not known
  bool by_step = false;                  // what the numbers are of

  bool known() const { return !marks.empty(); }
};

// Makes the trail of a search.
class Tracks {
 public:
  // A layer's labels are final: for each that was made, the label it extends, and the place of the one that stands for
  // it, itself or another one of its stage.
  struct Track {
    int from_stage = 0, from = 0, stage = 0, at = 0;
  };
  void push(std::vector<Track> layer) { layers_.push_back(std::move(layer)); }

  // `best`: by label of the last layer and stage.
  Trail followed(const Task&, const Dominance&, const History&, const std::vector<bool>& best) const;

 private:
  std::vector<std::vector<Track>> layers_;
};

// Whether the label, in this stage of this layer, is along the trail.
bool is_along(const Trail&, const Task&, const Dominance&, const Label&, int layer, int stage);

}  // namespace trellis::exact_search
