// Measures what a search needs to know about this machine: kernels on one device, collectives among a few. Without
// LibTorch in it: the host includes this, loads libtrellis_run and finds the entry by its name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trellis/plan/catalog.h"
#include "trellis/plan/cost.h"

namespace trellis {

struct ProfileRequest {
  std::vector<Measurement> kernels;  // those that `known` lacks are measured
  const OpLibrary* ops = nullptr;
  Dtype dtype = Dtype::f32;
  std::string device = "cpu";    // cpu, cuda
  int ranks = 1;                 // that a run starts on this machine: kernels run on all of them at once
  int threads = 0;               // of a rank on the CPU; 0: an equal share of the cores
  std::vector<int> groups;       // sizes whose collectives are measured
  std::optional<Profile> known;  // kept where it is of the same machine, else begun anew
  std::function<void(const std::string&)> progress;
};

struct ProfileResult {
  Profile profile;
  // Seconds of a fixed piece of work while the machine was as fast as all times of the profile are told for: the median
  // of what was found beside its layers. 0: not on the CPU.
  double pace = 0;
};

// Throws Error. One at a time in a process.
using ProfileEntry = void(const ProfileRequest&, ProfileResult&);
inline constexpr const char* kProfileEntry = "trellis_profile";

}  // namespace trellis
