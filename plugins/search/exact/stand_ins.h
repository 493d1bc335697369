// Of labels with one future, which one stands for which: the search goes on with those that stand for themselves.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "dominance.h"
#include "task.h"
#include "tie_order.h"

namespace trellis::exact_search {

class StandIns {
 public:
  static constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();
  // Asked before each further label, with a count of its own; from any thread.
  using OutOfTime = std::function<bool(int& asked)>;

  // `done`: the stages that labels have behind them. `order`: of plans that take as long, or nothing.
  StandIns(const Task& task, const Dominance& dominance, const std::vector<Done>& done, const TieOrder* order,
           OutOfTime out_of_time)
      : task_(task), dominance_(dominance), done_(done), order_(order), out_of_time_(std::move(out_of_time)) {}

  // `group`: labels of a layer with one future, the most promising first, or in the order of ties. `by`: of each of these,
  // the one that stands for it: itself or another one; nobody where time was up.
  void find(const std::vector<Label>&, std::vector<std::size_t> group, int layer, std::vector<std::size_t>& by) const;

  // Of a group the most promising one for each share of the range of what their memory costs; nobody stands for the
  // others. A beam of the most promising ones alone would all have spent their memory, or all have saved it.
  void thin_out(const std::vector<Label>&, const std::vector<std::size_t>& group,
                const std::function<double(const Label&)>& memory, std::vector<std::size_t>& by) const;

 private:
  static constexpr std::size_t kShares = 16;  // of memory, in a sketch
  static void sort_by_time(std::vector<std::size_t>& group, std::vector<Dominance::Numbers>&);

  const Task& task_;
  const Dominance& dominance_;
  const std::vector<Done>& done_;
  const TieOrder* const order_;
  const OutOfTime out_of_time_;
};

}  // namespace trellis::exact_search
