// What every plugin of a kind must keep, as a list of rules that are tried out on it: by `trellis plugins check` on a
// user's plugin, by the tests on ours.
//
// A rule that throws is broken; a rule that crashes ends the process, which is why the command line runs it in a child.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plan/plugin/enroll.h"
#include "trellis/plan/export.h"
#include "trellis/plan/plan_file.h"

namespace trellis::conformance {

struct Finding {
  std::string rule;    // "the first setting is off"
  std::string broken;  // how; empty where the rule is kept
};

// Runs rules one after another.
class TRELLIS_API Examination {
 public:
  // Told before a rule runs (finding.broken is empty) and after it.
  using Listener = std::function<void(const Finding&, bool is_done)>;
  explicit Examination(Listener listener = {}) : listener_(std::move(listener)) {}

  // `body` returns how the rule is broken, or nothing; what it throws breaks the rule, too. True when it is kept.
  bool rule(const std::string& sentence, const std::function<std::string()>& body);

  // For what is odd, and may be meant.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  const std::vector<std::string>& notes() const { return notes_; }

  const std::vector<Finding>& findings() const { return findings_; }
  bool passed() const;

 private:
  Listener listener_;
  std::vector<Finding> findings_;
  std::vector<std::string> notes_;
};

// `others`: the dimensions that it may be combined with; one of the same name is left out.
TRELLIS_API void examine(const Parallelism& plugin, const Dimensions& others, const OpLibrary& ops, Examination& exam);
TRELLIS_API void examine(const ModelFamily& plugin, const Dimensions& dimensions, const OpLibrary& ops,
                         Examination& exam);
TRELLIS_API void examine(const SearchAlgorithm& plugin, Examination& exam);

// The rules of whatever kind it is, and those of its ops.
TRELLIS_API void examine(const plugin::Enrolled& plugin, const Catalog& catalog, Examination& exam);

}  // namespace trellis::conformance
