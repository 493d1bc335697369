// Which sample comes when: a function of seed and place in the run alone, so that another plan or number of ranks neither
// repeats nor loses one.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "data/samples/blend.h"
#include "trellis/plan/export.h"

namespace trellis::data {

enum class Order {
  shuffled,  // epoch after epoch, each in an order of its own, blended by weight: for training
  in_turn,   // every sample once, in the order of the data; rows after the last are surplus: for evaluation
};

struct SourceSize {
  std::int64_t samples = 0;  // 1 or more
  double weight = 1;         // in turn each source counts by its samples instead: the first batches are like all of them
};

// Samples of several sources are numbered one source after another. Thread-safe.
class TRELLIS_API SampleOrder {
 public:
  SampleOrder(const std::vector<SourceSize>& sources, std::int64_t batch, std::uint64_t seed, Order order);

  std::int64_t batch() const { return batch_; }
  std::int64_t samples() const { return ends_.back(); }
  std::int64_t steps_in_turn() const { return (samples() + batch_ - 1) / batch_; }
  std::int64_t rows(std::int64_t step) const;  // of the step's batch that are no surplus
  // Which sample row `row` of a step is, or -1: surplus.
  std::int64_t operator()(std::int64_t step, std::int64_t row) const;
  // Its source, and which one it is there.
  std::pair<std::size_t, std::int64_t> place(std::int64_t sample) const;

 private:
  std::vector<std::int64_t> ends_;  // of each source's samples
  std::int64_t batch_;
  std::uint64_t seed_;
  Order order_;
  std::unique_ptr<const Blend> blend_;
};

}  // namespace trellis::data
