// What the user pins of a search's space: settings that layers, or the whole plan, must have (search.fix) or must not
// have (search.forbid). Written in YAML as docs/formats.md says.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/export.h"
#include "trellis/plan/plan_file.h"

namespace trellis {

// Of a value. One that says nothing accepts everything.
struct TRELLIS_API ValueTest {
  std::vector<std::string> among;                 // it is one of these; empty: any
  std::optional<std::int64_t> at_least, at_most;  // it is a whole number in these bounds

  bool says_something() const { return !among.empty() || at_least || at_most; }
  bool accepts(const std::string& value) const;
  bool accepts(std::int64_t value) const;
};

// Of a layer's setting of one dimension.
struct TRELLIS_API SettingTest {
  std::string dimension;
  std::optional<bool> on;                   // whether it is on, in whatever setting
  std::map<std::string, ValueTest> values;  // by option; "" is the scalar form ("full")
  // What a whole-number option counts as where the dimension is off: tp off is tp of degree 1.
  std::map<std::string, int> when_off;

  bool accepts(const Strategy&) const;
};

struct TRELLIS_API Pin {
  std::vector<StageRange> layers;  // inclusive; empty: all
  std::vector<SettingTest> settings;
  ValueTest stages, schedule;  // of the plan
  std::string path;            // "search.fix.0-3"
  Mark mark;

  bool covers(int layer) const;
  bool is_of_plan() const { return stages.says_something() || schedule.says_something(); }
  std::string place() const;  // "search.fix.0-3 (run.yaml:7:12)"
};

// A plan must meet all tests of every `fix`; of every `forbid` it must fail at least one, in each layer that is
// covered.
struct Pins {
  std::vector<Pin> fix, forbid;
  bool empty() const { return fix.empty() && forbid.empty(); }
};

// The keys `fix` and `forbid` of a section `search`. Error where they name a layer, a dimension or an option that is
// not there.
TRELLIS_API Pins read_pins(const Options& search, const Dimensions&, const ModelSpec&);

}  // namespace trellis
