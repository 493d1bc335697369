// The labels of all layers so far: what each of them extends, back to the first layer.
#pragma once

#include <utility>
#include <vector>

#include "dominance.h"
#include "task.h"

namespace trellis::exact_search {

class History {
 public:
  using Layer = std::vector<std::vector<Label>>;  // by stage

  int layers() const { return static_cast<int>(layers_.size()); }
  const Layer& layer(int i) const { return layers_[static_cast<std::size_t>(i)]; }
  const Layer& last() const { return layers_.back(); }
  void push(Layer layer) { layers_.push_back(std::move(layer)); }

  // The label that one of layer `layer` extends.
  const Label& extended(const Label& label, int layer) const {
    return layers_[static_cast<std::size_t>(layer) - 1][static_cast<std::size_t>(label.from_stage)]
                  [static_cast<std::size_t>(label.from)];
  }

  // The option and stage of a layer that a label of layer `at` in `stage` has behind it.
  std::pair<int, int> option_of(const Label& label, int layer, int at, int stage) const {
    const Label* l = &label;
    int s = stage;
    for (int i = at; i > layer; --i) {
      s = l->from_stage;
      l = &extended(*l, i);
    }
    return {l->option, s};
  }

  // The plan of a label of the last layer and stage.
  Choice choice_of(const Label& label) const {
    const int last = layers() - 1;
    int stage = static_cast<int>(layers_.back().size()) - 1;
    Choice choice;
    choice.options.resize(layers_.size());
    choice.ends.resize(layers_.back().size());
    choice.ends[static_cast<std::size_t>(stage)] = last;
    const Label* l = &label;
    for (int i = last; i >= 0; --i) {
      choice.options[static_cast<std::size_t>(i)] = l->option;
      if (i == 0) break;
      if (l->from_stage != stage) stage = l->from_stage, choice.ends[static_cast<std::size_t>(stage)] = i - 1;
      l = &extended(*l, i);
    }
    return choice;
  }

 private:
  std::vector<Layer> layers_;
};

}  // namespace trellis::exact_search
