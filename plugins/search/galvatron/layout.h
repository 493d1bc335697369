// The reference's strategies of one layer, and which of them a search may use.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "settings.h"

namespace trellis::galvatron {

enum class DpType { ddp, zero2, zero3 };  // in the reference's order

// Ordered as the reference orders strategies: the first of equals wins its dynamic programming.
struct Layout {
  int pp = 1, tp = 1, sp = 1;  // sp: Ulysses; one of tp and sp is 1
  int dp = 1;
  DpType type = DpType::ddp;
  bool checkpoint = false;

  int degree() const { return tp > sp ? tp : sp; }
  int sharded() const { return dp * sp; }  // devices that share the states of a parameter
  std::string text() const;                // "1-4*-2f-c-sp"
  auto operator<=>(const Layout&) const = default;
};

struct Space {
  std::vector<Layout> layers, vocabulary;  // sorted
};

// Everything that the settings allow.
Space make_space(const Settings&);

enum class TpSp { tp_only, sp_only, tp_with_sp };
const char* name_of(TpSp);

// One of the reference's searches: a global batch in so many micro-batches and stages, with strategies up to a degree.
struct Task {
  std::int64_t batch = 1, micro_batches = 1;
  int stages = 1;
  TpSp mode = TpSp::tp_with_sp;
  int widest = 1;  // tp or sp degree; the shared buffer is sized for it
};

// In the reference's order: the first of equals is its answer.
std::vector<Task> make_tasks(const Settings&, const Space&);
// The part of the space that a task may use.
Space restrict(const Space&, const Task&, const Settings&);

// Rejects the option by which nothing is left to try, in whatever memory; if there is one.
void check_space(const Options&, const Settings&);

// Layers of each stage. Defect of the reference: what does not divide goes to the last stage, which has the head, too.
std::vector<int> divide_evenly(int layers, int stages);

}  // namespace trellis::galvatron
