// What the reference measured: of the machine (bandwidths, latencies) and of the model (times, memory). Times in ms,
// memory in MB (MiB), as in its files.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "fit.h"
#include "json_file.h"
#include "settings.h"

namespace trellis::galvatron {

// Time of one collective by the MB of its message: the exact points, a line between and beyond them.
struct LatencyTable {
  std::map<double, double> points;
  Line line;
  double operator()(double megabytes) const;
};

struct HardwareProfile {
  // ms per MB of an all-reduce's volume among so many ranks; consecutive or strided.
  double all_reduce(int ranks, bool consecutive) const;
  double send(int stages) const;  // ms per MB between neighboring stages
  const LatencyTable& all_gather(int ranks) const;
  const LatencyTable& all_to_all(int ranks) const;

  std::map<std::pair<int, bool>, double> all_reduce_ms;
  std::map<int, double> send_ms;
  double overlap = 1;
  std::map<int, LatencyTable> gathers, exchanges;
  std::string all_reduce_file, send_file, latency_file;  // for errors
};

HardwareProfile read_hardware(const Settings&);
HardwareProfile read_hardware(const JsonFile& all_reduce, const JsonFile& send, const JsonFile& overlap,
                              const JsonFile& latencies, int devices);

// Forward time by the local samples over the tp or sp degree: a line, or proportional to them.
struct ForwardTime {
  Line line;
  double operator()(double samples) const { return line(samples); }
};

struct ComputationProfile {
  ForwardTime layer, vocabulary;  // vocabulary: embedding, head and loss
};

ComputationProfile read_computation(const JsonFile&, const Settings&);

// By degree; Error naming file and key where a degree was not measured.
struct ByDegree {
  std::map<int, double> values;
  std::string file, key;
  double at(int degree) const;
};

struct VocabularyMemory {
  ByDegree states, activation;  // of all parameters; of a sample
};

struct MemoryProfile {
  double parameters = 0;             // of one layer in fp32, not cut
  ByDegree activation;               // of one layer and sample, by tp or sp degree
  std::optional<double> checkpoint;  // of one recomputed layer and sample
  std::string checkpoint_file, checkpoint_key;
  VocabularyMemory whole, first, last;  // without a pipeline; of its first and its last stage
};

MemoryProfile read_memory(const JsonFile&, const Settings&);
// The derived part of a memory profile (layertype_0_sp, other_memory_*) out of raw runs, as the reference's profiler
// makes it. Nothing is done where the derived part is there.
Json with_derived_memory(const JsonFile&, const Settings&);

struct Profiles {
  HardwareProfile hardware;
  ComputationProfile computation;
  MemoryProfile memory;
};

Profiles read_profiles(const Settings&);

}  // namespace trellis::galvatron
