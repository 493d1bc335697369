// A parallelism dimension: a plugin that declares how it splits named dims, how the lives of a parameter are stored or
// what a layer keeps. It never touches a tensor. Implemented by plugins/parallelism/*; see README.md beside this file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/placement.h"

namespace trellis {

// One dimension's choice for a layer. In YAML `tp: {degree: 2}` has values {"degree": "2"}, `megatron_sp: on` has {"": "on"}.
struct TRELLIS_API Setting {
  std::string dimension;
  std::map<std::string, std::string> values;  // empty = off

  bool on() const { return !values.empty(); }
  std::int64_t integer(std::string_view option, std::int64_t otherwise) const;  // Error if not an integer
  std::string text(std::string_view option, std::string_view otherwise = {}) const;
  std::string label() const;  // "tp 2", "zero 3", "megatron_sp", "ckpt full"
  auto operator<=>(const Setting&) const = default;
};

enum class Scope { layer, model };

struct Traits {
  std::string name;
  Scope scope = Scope::layer;
  int order = 0;                       // dimensions are applied in ascending order; ties by name
  std::vector<std::string> options;    // keys of the mapping form; empty: scalar form only
  std::map<std::string, std::pair<int, int>> ranges;  // options that are whole numbers: smallest and largest value
  std::vector<std::string> scalars;    // values of the scalar form ("on", "full"), besides off
  std::vector<std::string> excludes;   // dimensions that may not be on beside this one
  std::vector<std::string> requires_;  // dimensions that must be on beside this one
  bool implied = false;                // applied to every layer without being named (dp)
};

struct SpaceContext {
  DeviceLine line;
  int devices_in_node = 0;  // 0 = all
};

// Accepted, or rejected with a reason for people ("12 heads do not divide by 8").
struct Verdict {
  std::optional<std::string> reason;
  explicit operator bool() const { return !reason; }
};
inline Verdict accept() { return {}; }
inline Verdict reject(std::string reason) { return {std::move(reason)}; }

class TRELLIS_API Parallelism {
 public:
  virtual ~Parallelism();
  virtual Traits traits() const = 0;
  // The choices that a search may try for this layer; the first is off. Pure, thread-safe.
  virtual std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const = 0;
  // Edits the placement, or says why not. Pure but for the placement, thread-safe.
  virtual Verdict apply(const Setting&, const LayerSpec&, Placement&) const = 0;
  // Optional powers, asked for by id ("trellis.pipeline_schedule/1"); nullptr where there is none.
  virtual const void* extension(std::string_view id) const;
};

// All degrees > 1 that are products of the innermost atoms of the line, ascending.
TRELLIS_API std::vector<int> inner_degrees(const DeviceLine&);
// Why axes cannot split the dims of these roles ("12 heads do not divide by 8"); nothing where they can. Of dims of one
// role in one tensor (kv heads, queries per kv head) the first takes atoms as far as they divide it, the next the rest.
TRELLIS_API std::optional<std::string> indivisible(const LayerSpec&, const std::vector<std::string_view>& roles,
                                                   const AxisList&, const DeviceLine&);
// Why Placement::claim found no devices for a degree.
TRELLIS_API std::string unclaimable(const Placement&, int degree);

}  // namespace trellis
