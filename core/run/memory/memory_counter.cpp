#include "run/memory/memory_counter.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <mutex>
#include <new>

namespace trellis {

struct MemoryCounter::State {
  std::mutex mutex;
  MemoryUse current, peak;
  std::array<Bytes, kPurposes> peaks{};
  Bytes total{0}, peak_total{0};

  void add(Purpose purpose, Bytes bytes) {
    const std::lock_guard lock(mutex);
    const auto p = static_cast<std::size_t>(purpose);
    current.by_purpose[p] += bytes;
    total += bytes;
    if (bytes.value > 0) {
      if (peaks[p] < current.by_purpose[p]) peaks[p] = current.by_purpose[p];
      if (peak_total < total) {
        peak_total = total;
        peak = current;
      }
    }
  }
};

namespace {

constexpr std::size_t kAlignment = 64;  // of c10's CPU allocator

struct Tag {
  std::shared_ptr<MemoryCounter::State> state;
  Purpose purpose = Purpose::transient;
};
thread_local Tag tag;

// In front of every block, so that a block knows its counter wherever it is freed.
struct alignas(kAlignment) Header {
  Tag tag;
  Bytes bytes;
};
static_assert(sizeof(Header) == kAlignment);

Header* header_of(void* block) { return reinterpret_cast<Header*>(static_cast<char*>(block) - sizeof(Header)); }

void free_block(void* block) {
  if (!block) return;
  Header* header = header_of(block);
  if (header->tag.state) header->tag.state->add(header->tag.purpose, Bytes(0) - header->bytes);
  header->~Header();
  c10::free_cpu(header);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    if (size == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::DeviceType::CPU)};
    const Bytes rounded(static_cast<std::int64_t>((size + kAlignment - 1) / kAlignment * kAlignment));
    void* memory = c10::alloc_cpu(sizeof(Header) + size);
    auto* header = new (memory) Header{tag, rounded};
    if (tag.state) tag.state->add(tag.purpose, rounded);
    void* block = header + 1;
    return {block, block, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t size) const override { default_copy_data(to, from, size); }
};

void install() {
  // LibTorch keeps the pointer for ever, and tensors may end after main() has: the object is never destroyed.
  static const bool installed = [] {
    constexpr std::uint8_t kPriority = 100;  // above c10's own, 0
    c10::SetCPUAllocator(new CountingAllocator, kPriority);
    return true;
  }();
  static_cast<void>(installed);
}

}  // namespace

Bytes MemoryUse::total() const {
  Bytes sum{0};
  for (const Bytes bytes : by_purpose) sum += bytes;
  return sum;
}

MemoryCounter::MemoryCounter() : state_(std::make_shared<State>()) { install(); }
MemoryCounter::~MemoryCounter() = default;

MemoryUse MemoryCounter::current() const {
  const std::lock_guard lock(state_->mutex);
  return state_->current;
}

MemoryUse MemoryCounter::peak() const {
  const std::lock_guard lock(state_->mutex);
  return state_->peak;
}

Bytes MemoryCounter::peak_of(Purpose purpose) const {
  const std::lock_guard lock(state_->mutex);
  return state_->peaks[static_cast<std::size_t>(purpose)];
}

void MemoryCounter::reset_peak() {
  const std::lock_guard lock(state_->mutex);
  state_->peak = state_->current;
  state_->peaks = state_->current.by_purpose;
  state_->peak_total = state_->total;
}

CountMemory::CountMemory(MemoryCounter& counter, Purpose purpose)
    : previous_(std::exchange(tag.state, counter.state_)), previous_purpose_(std::exchange(tag.purpose, purpose)) {}

CountMemory::CountMemory(Purpose purpose)
    : previous_(tag.state), previous_purpose_(std::exchange(tag.purpose, purpose)) {}

CountMemory::~CountMemory() {
  tag.state = std::move(previous_);
  tag.purpose = previous_purpose_;
}

}  // namespace trellis
