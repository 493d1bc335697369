// What a machine can do: measured (Profile) or described (Cluster). Prices turns instructions into time by the first
// where it knows the instruction, by the second where it does not.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/options.h"
#include "trellis/plan/program.h"

namespace trellis {

// The time of one transfer is latency + bytes / bandwidth; bytes are those that one rank receives.
struct TRELLIS_API Link {
  Picoseconds latency{0};
  double bandwidth = 0;    // bytes a second, each way
  bool is_shared = false;  // one for all devices of a node (a network card, a bus); else each device has its own
  Picoseconds time(Bytes) const;
};

// How a group of devices lies in the nodes of a cluster, and who else communicates meanwhile: all groups of a line run
// the same collective at once.
struct GroupShape {
  int ranks = 1, nodes = 1;
  int per_node = 1;  // of its ranks: the fewest that it has in a node
  int siblings = 1;  // groups, itself among them, that use a node's links at once; the most of any node
  auto operator<=>(const GroupShape&) const = default;
};
// The shapes of the groups over these axes of a line; each once. `first_device` is rank 0 of the line.
TRELLIS_API std::vector<GroupShape> group_shapes(const DeviceLine&, const AxisList&, int first_device,
                                                 int devices_per_node);
// Of every rank of a line with its counterpart `distance` devices on: the transfers to another stage.
TRELLIS_API GroupShape transfer_shape(int ranks, int first_device, int distance, int devices_per_node);

// A device and what connects it to others, from data sheets and known latencies. An artefact in YAML.
struct Cluster {
  std::string name;
  int devices_per_node = 1;
  Bytes memory{0};                      // of one device
  std::map<std::string, double> flops;  // peak operations a second, by dtype
  double efficiency = 0.5;              // share of the peak that a large product reaches
  double memory_bandwidth = 0;          // bytes a second
  Picoseconds launch{0};                // fixed time of one kernel
  Link inside, between;                 // links within a node, and between nodes
  double slowdown = 1;                  // of computing and communicating while both go on

  // What a collective makes of its links: docs/planner.md, section "Collectives". Bytes are those that a rank receives.
  TRELLIS_API Link link(MoveKind, const GroupShape&) const;
};
TRELLIS_API Cluster read_cluster(const Options&);  // strict; marks errors

// Times of a few sizes, by ascending size.
using TimedSizes = std::vector<std::pair<Bytes, Picoseconds>>;
// Between two sizes interpolated; beyond the largest the last two go on; below the smallest all is fixed time. Of two
// sizes at the least.
TRELLIS_API Picoseconds interpolated(const TimedSizes&, Bytes);
// How far the time of that size may be off, as a share: half of what the sizes around it miss when their neighbors stand
// for them, which doubles the distance; and between two sizes no more than lies between their times.
TRELLIS_API double interpolation_error(const TimedSizes&, Bytes);

// One collective among `ranks` devices of one node, or of several.
struct TRELLIS_API LinkFit {
  MoveKind kind = MoveKind::all_gather;
  int ranks = 2;
  bool between_nodes = false;
  Link link;             // fitted to all sizes
  TimedSizes points{};   // measured
  double spread = 0;     // the standard error of its times, as a share
  Picoseconds time(Bytes) const;  // by the points where there are some
};

// What a figure rests on; the later, the less sure.
enum class Basis { measured, interpolated, estimated };
TRELLIS_API std::string_view name_of(Basis);  // "measured here", "interpolated", "estimated from a cluster description"

// Which end of a figure's interval is asked for.
enum class IntervalEnd { expected, lower, upper };
// How far a figure of such a basis may be off, as a share of it. `off`: what its measurement says about that.
TRELLIS_API double uncertainty(Basis, double off);

// Measured on one kind of device. An artefact in YAML.
struct TRELLIS_API Profile {
  std::map<std::string, std::string> machine;  // device, threads, torch, kernels: what the figures hold for
  std::map<std::string, Picoseconds> compute;  // by compute_key()
  std::map<std::string, double> spreads;       // of those: the standard deviation of repeats, as a share
  std::vector<LinkFit> links;
  TimedSizes copies;          // by bytes read plus bytes written
  double copy_bandwidth = 0;  // bytes read plus bytes written a second, of large copies; 0: not measured
  Picoseconds launch{0};      // fixed time of an instruction that only copies or adds; 0: not measured
  Picoseconds adamw{0};       // of a million elements; 0: not measured
  Picoseconds norm{0};        // of a million elements: reading gradients for their norm; 0: not measured
  double slowdown = 0;        // as Cluster::slowdown; 0: not measured
  double spread = 0;          // the standard error of the whole measurement, by its repeats, as a share
  double unexplained = 0;     // by how much layers that ran as a whole differ from the sum of their figures, as a share

  std::string fingerprint() const;  // of `machine`; 16 hex digits
};
TRELLIS_API std::string to_yaml(const Profile&);
TRELLIS_API Profile read_profile(const Options&);  // strict; marks errors

// Names what a compute instruction does: kind, op and its attributes, local sizes of its dims, dtype. Nothing about
// degrees, so that one measurement on one device serves every plan with these local sizes.
// "linear+bias forward batch 8 sequence 128 ffn 1024 of hidden 256 f32". Empty for an instruction that runs no kernel.
TRELLIS_API std::string compute_key(const StageProgram&, const Instruction&);

// Where a stage's line lies in the cluster: which device is rank 0 of the line.
struct Location {
  int first_device = 0;
};

struct Price {
  Picoseconds compute{0};   // the device is busy
  Picoseconds transfer{0};  // the link is busy, from this instruction on; a wait joins it
};

// Thread-safe.
class TRELLIS_API Prices {
 public:
  Prices(Cluster, std::optional<Profile>, std::shared_ptr<const OpLibrary>, IntervalEnd = IntervalEnd::expected);
  ~Prices();

  Price price(const StageProgram&, const Instruction&, const DeriveContext&, Location) const;
  // In a group of such a shape.
  Picoseconds collective(MoveKind, Bytes received, const GroupShape&) const;
  // In all groups over these axes of a stage's line: until the last has ended.
  Picoseconds collective(MoveKind, Bytes received, const DeviceLine&, const AxisList&, Location) const;
  // From every device of a line to its counterpart so many devices on, or back.
  Picoseconds transfer(Bytes, const DeviceLine&, Location, int distance) const;
  Picoseconds copy(Bytes read_and_written) const;
  double slowdown() const;
  // So many operations in kernels that the description estimates.
  Picoseconds least_time(Flops) const;

  const Cluster& cluster() const { return cluster_; }
  const std::optional<Profile>& profile() const { return profile_; }
  // Keys that were asked for and not found in the profile: their times are estimated.
  std::set<std::string> estimated() const;
  // The weakest basis of all figures that were asked for.
  Basis basis() const;

 private:
  // The end of its interval that was asked for; notes the basis. `off`: what the measurement says about it.
  Picoseconds bounded(Picoseconds, Basis, double off) const;
  double measured_off(double spread) const;
  Picoseconds launch() const;
  Picoseconds call_with_copy(Bytes read_and_written) const;
  Picoseconds kernel(const StageProgram&, const Instruction&) const;
  Picoseconds roofline(const StageProgram&, const Instruction&) const;
  Picoseconds inner(const StageProgram&, const Instruction&, const DeriveContext&, Location) const;
  Price update(const StageProgram&, const Instruction&, Location) const;

  struct State;
  Cluster cluster_;
  std::optional<Profile> profile_;
  std::shared_ptr<const OpLibrary> ops_;
  IntervalEnd end_;
  std::unique_ptr<State> state_;
};

}  // namespace trellis
