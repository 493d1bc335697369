// Loops of our own over elements, where ATen has no op for the job: dropout by coordinates, AdamW in one pass, sums of
// squares in a fixed order. Plain pointers, so that nvcc need not read LibTorch's headers.
#pragma once

#include <cstdint>

namespace trellis::cuda {

enum class Element { f32, f64, bf16 };

// Where a loop runs. The same arithmetic runs on the processor, which is how it is tested where there is no GPU.
struct Place {
  bool on_device;
  void* stream;  // cudaStream_t; null on the processor
};

[[noreturn]] void launch_failed(const char* what, const char* why);  // throws Error

// y = x where the element is kept, times `scale`; 0 where it is dropped. y may be x.
struct MaskLoop {
  static constexpr int kMostDims = 8;
  Element element;
  void* y;
  const void* x;
  const std::int64_t* samples;  // by the first dim's index: the sample's index in the run
  std::uint64_t key;
  std::uint64_t first;                              // index within the sample of the first local element
  int dims;                                         // of x, contiguous; the first one is the batch
  std::int64_t size[kMostDims], stride[kMostDims];  // stride: in indices within the sample; 0 for the batch
  std::uint32_t threshold;                          // see DropoutRule
  double scale;
};
void run(const Place&, const MaskLoop&);

// See run/optimizer/adamw.cpp, whose formulas these are.
struct AdamWLoop {
  Element element;  // f32 or f64
  void* parameter;
  const void* gradient;
  void *first, *second;
  void* compute;  // bf16; may be null
  std::int64_t size, decayed;
  double decay, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon, gradient_scale;
};
void run(const Place&, const AdamWLoop&);

// *total += the sum of squares of x, in double: by blocks of a fixed size, then over the blocks.
struct SquaresLoop {
  Element element;  // f32 or f64
  const void* x;
  std::int64_t size;
  double* sums;  // scratch: blocks() of them
  double* total;

  static constexpr std::int64_t kBlock = 1 << 14;
  std::int64_t blocks() const { return (size + kBlock - 1) / kBlock; }
};
void run(const Place&, const SquaresLoop&);

}  // namespace trellis::cuda
