// Parameters of one layer and their tensors, by names within it: ours and the files'. Used by families that know public
// weights.
#pragma once

#include <string>
#include <string_view>

#include "trellis/plan/weights.h"

namespace trellis {

class PublicBlock {
 public:
  // The map must outlive it; names of tensors begin with `prefix`.
  PublicBlock(WeightMap& map, int layer, std::string prefix) : map_(map), layer_(layer), prefix_(std::move(prefix)) {}

  void add(std::string_view ours, std::string_view theirs, const WeightForm& form = {}) const {
    map_.add(layer_, ours, prefix_ + std::string(theirs), form);
  }
  // A product or a norm: .weight and perhaps .bias.
  void linear(std::string_view ours, std::string_view theirs, bool bias, WeightForm form = {}) const {
    add(std::string(ours) + ".weight", std::string(theirs) + ".weight", form);
    form.transposed = false;
    if (bias) add(std::string(ours) + ".bias", std::string(theirs) + ".bias", form);
  }
  // A parameter as a tensor of other dims whose elements lie in the same order.
  void reshaped(std::string_view ours, std::string_view theirs, Shape shape) const {
    map_.add_reshaped(layer_, ours, prefix_ + std::string(theirs), std::move(shape));
  }

 private:
  WeightMap& map_;
  int layer_;
  std::string prefix_;
};

}  // namespace trellis
