// The candidates that the pins leave, and what to say where they leave none.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "trellis/plan/cost.h"

namespace trellis {

// Thread-safe. The model's layers and the dimensions must outlive it.
class PinnedSpace {
 public:
  PinnedSpace(const ModelSpec&, const Dimensions&, int devices_in_node, Pins);

  // Made when first asked for; the same object for layers of one type that are under the same pins.
  const std::vector<Candidate>& candidates(int layer, const GlobalChoice&);

  // What no pin refuses: the choice itself, and a candidate of every layer.
  bool admits(const GlobalChoice& choice) { return allows(choice) && !layer_without_candidate(choice); }
  bool allows(const GlobalChoice&) const;  // of the choice itself
  std::optional<int> layer_without_candidate(const GlobalChoice&);

 private:
  using PinList = std::vector<const Pin*>;
  // Equal for layers that always have the same candidates.
  struct Kind {
    const LayerSpec* spec = nullptr;
    PinList fix, forbid;
    bool operator==(const Kind&) const = default;
  };
  using Key = std::tuple<int, std::vector<int>, PinList>;  // kind, atoms, the forbid pins that this choice activates

  const Dimensions& dimensions_;
  int devices_in_node_;
  Pins pins_;
  std::vector<Kind> kinds_;
  std::vector<int> kind_of_;  // by layer
  std::vector<int> first_of_kind_;
  std::mutex mutex_;
  std::map<Key, std::vector<Candidate>> known_;
};

// Throws Error (bad_input) that names the fewest pins that leave nothing of these choices.
[[noreturn]] void report_contradiction(const ModelSpec&, const Dimensions&, int devices_in_node,
                                       const std::vector<GlobalChoice>&, const Pins&);

}  // namespace trellis
