// Memory of tensors, counted by purpose, for one rank.
//
// A thread names the counter and the purpose with CountMemory; what LibTorch allocates on it meanwhile is counted
// there, and deducted from there when it is freed, on whatever thread. Sizes are rounded up to 64 bytes, the alignment
// of the CPU allocator. Scratch that MKL and oneDNN allocate by themselves is not seen. For CUDA see cuda_room.h.
#pragma once

#include <array>
#include <memory>

#include "trellis/plan/program.h"

namespace trellis {

constexpr std::size_t kPurposes = 6;

struct MemoryUse {
  std::array<Bytes, kPurposes> by_purpose{};
  Bytes of(Purpose purpose) const { return by_purpose[static_cast<std::size_t>(purpose)]; }
  Bytes total() const;
};

// Thread-safe. Tensors may outlive it.
class TRELLIS_API MemoryCounter {
 public:
  MemoryCounter();  // the first one installs the counting allocator; make it before the tensors to be counted
  ~MemoryCounter();
  MemoryCounter(const MemoryCounter&) = delete;
  MemoryCounter& operator=(const MemoryCounter&) = delete;

  MemoryUse current() const;
  MemoryUse peak() const;                // the moment when the total was largest
  Bytes peak_of(Purpose purpose) const;  // the most of one purpose, at a moment of its own
  void reset_peak();                     // to what is current

  struct State;  // the allocator's half

 private:
  friend class CountMemory;
  std::shared_ptr<State> state_;
};

// While it lives, this thread's allocations are counted there. Guards nest, and end in reverse order.
class TRELLIS_API CountMemory {
 public:
  CountMemory(MemoryCounter& counter, Purpose purpose);
  explicit CountMemory(Purpose purpose);  // the thread's counter as it is, if any; another purpose
  ~CountMemory();
  CountMemory(const CountMemory&) = delete;
  CountMemory& operator=(const CountMemory&) = delete;

 private:
  std::shared_ptr<MemoryCounter::State> previous_;
  Purpose previous_purpose_;
};

}  // namespace trellis
