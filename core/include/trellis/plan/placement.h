// The one value that every parallelism dimension edits: how a layer lies on its stage's device line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"

namespace trellis {

// A parameter lives four times; compute is the copy that kernels read.
enum class Life { compute, storage, gradient, optimizer };
enum class Retain { everything, boundary };  // what a layer keeps for backward

class TRELLIS_API Regions {
 public:
  static Regions all();
  static Regions inside(std::string_view region);
  static Regions outside(std::string_view region);
  bool contains(std::string_view region) const;
  const std::set<std::string, std::less<>>& names() const { return names_; }
  auto operator<=>(const Regions&) const = default;

 private:
  bool outside_ = true;
  std::set<std::string, std::less<>> names_;
};

class TRELLIS_API Placement {
 public:
  explicit Placement(DeviceLine line) : line_(std::move(line)) {}

  const DeviceLine& line() const { return line_; }

  // Innermost free atoms whose product is `degree`, innermost first; nothing where they do not multiply to it. Error
  // where the name has claimed before.
  std::optional<AxisList> claim(std::string_view name, int degree);
  AxisList claim_rest(std::string_view name);             // all free atoms
  AxisList axis(std::string_view name) const;             // a claimed axis; empty where nobody claimed it

  void split(std::string_view role, const AxisList&, const Regions& = Regions::all());
  void split_state(Life);                                  // over each parameter's own reduction axes
  void retain(Retain r) { retain_ = r; }
  void substitute(std::string_view kind, std::string_view by);  // another contract for ops of a kind

  // Atoms that split dims of a role in a region: batch outermost first, every other role innermost first, so that a
  // changed degree between two layers is one balanced exchange (docs/derivation.md, Order of atoms in a dim).
  AxisList axes(std::string_view role, std::string_view region) const;
  // What the size of a role's dims must be a multiple of: the least common multiple of their degrees in all regions.
  std::int64_t multiple(std::string_view role) const;
  std::set<std::string> split_roles() const;
  bool splits(Life life) const { return state_.contains(life); }
  Retain retained() const { return retain_; }
  std::string_view contract_for(std::string_view kind) const;

  std::string key() const;                                 // canonical text: equal keys are equal placements
  bool operator==(const Placement& other) const { return key() == other.key(); }

 private:
  struct Split {
    std::string role;
    AxisList axes;
    Regions regions;
  };
  DeviceLine line_;
  std::map<std::string, AxisList, std::less<>> claimed_;
  std::vector<Split> splits_;
  std::set<Life> state_;
  Retain retain_ = Retain::everything;
  std::map<std::string, std::string, std::less<>> substitutes_;
};

}  // namespace trellis
