// An op through the kernels for the CPU and through those for CUDA. Without a GPU the latter run on the processor,
// where they are made of the same ATen ops and loops; what exists on a GPU only is left out, and says so.
#pragma once

#include <cstdio>

#include "cuda/kernels/kernels.h"
#include "run/comm/cuda_room.h"
#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {

inline bool has_gpu() {
  static const bool found = [] {
    try {
      select_cuda_device();
      return true;
    } catch (const Error& error) {
      std::printf("[no GPU] the kernels for CUDA run on the processor (%s)\n", error.message().c_str());
      return false;
    }
  }();
  return found;
}
inline at::Device device() { return has_gpu() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }

// Whether a case that exists on a GPU only goes on.
inline bool goes_on_with_gpu(const char* what) {
  if (!has_gpu()) std::printf("[skipped] %s: needs a GPU\n", what);
  return has_gpu();
}

inline const KernelLibrary& cuda_kernels() {
  static const KernelLibrary library = [] {
    KernelLibrary made;
    add_cuda_kernels(made);
    return made;
  }();
  return library;
}

inline std::vector<Dtype> dtypes_here() {
  return has_gpu() ? std::vector{Dtype::f64, Dtype::f32, Dtype::bf16} : std::vector{Dtype::f64, Dtype::f32};
}
inline double close(Dtype dtype) { return dtype == Dtype::f64 ? 1e-12 : dtype == Dtype::f32 ? 1e-5 : 3e-2; }

inline void same(const at::Tensor& found, const at::Tensor& expected, double limit) {
  CHECK((found.device() == device()));
  CHECK((found.scalar_type() == expected.scalar_type()));
  CHECK(found.is_contiguous());
  CHECK(difference(found.cpu(), expected) <= limit);
}

inline void to_device(Tensors& tensors) {
  for (at::Tensor& t : tensors)
    if (t.defined()) t = t.to(device());
}

struct OpCase {
  LayerSpec layer;
  std::int64_t batch = 2;
  Tensors inputs, parameters;
  std::size_t op = 0;                                   // of the layer
  std::function<void(OneOp&)> prepare = [](OneOp&) {};  // offsets, samples, a fused bias, fresh gradients ...
  bool has_backward = true;
  std::vector<Dtype> dtypes = dtypes_here();
  double slack = 1;  // times the usual limit
};

inline void compare(const OpCase& test) {
  for (const Dtype dtype : test.dtypes) {
    CAPTURE(name_of(dtype));
    const double limit = test.slack * close(dtype);
    OneOp cpu(test.layer, test.batch, dtype, test.op), gpu(test.layer, test.batch, dtype, test.op);
    for (OneOp* one : {&cpu, &gpu}) {
      one->give(test.inputs, test.parameters);
      test.prepare(*one);
    }
    to_device(gpu.c.inputs), to_device(gpu.c.parameters), to_device(gpu.c.parameter_gradients);
    gpu.c.samples = gpu.c.samples.to(device());
    if (gpu.c.fused_bias.defined()) gpu.c.fused_bias = gpu.c.fused_bias.to(device());

    const OpKernel& kernel = cuda_kernels().find(gpu.c.op->kind);
    CHECK(kernel.overwrites_gradients() == cpu.kernel().overwrites_gradients());
    cpu.forward();
    kernel.forward(gpu.c);
    same(gpu.c.output, cpu.c.output, limit);
    REQUIRE(gpu.c.extras.size() == cpu.c.extras.size());
    for (std::size_t i = 0; i < cpu.c.extras.size(); ++i) same(gpu.c.extras[i], cpu.c.extras[i], limit);

    if (test.has_backward) {
      const at::Tensor dy = random(cpu.c.output.sizes(), 99);
      cpu.backward(dy);
      gpu.c.output_gradient = gpu.cast(dy).to(device());
      gpu.c.input_gradients.assign(gpu.c.inputs.size(), at::Tensor());
      kernel.backward(gpu.c);
    }
    REQUIRE(gpu.c.input_gradients.size() == cpu.c.input_gradients.size());
    for (std::size_t i = 0; i < cpu.c.input_gradients.size(); ++i) {
      CAPTURE(i);
      REQUIRE(gpu.c.input_gradients[i].defined() == cpu.c.input_gradients[i].defined());
      if (cpu.c.input_gradients[i].defined()) same(gpu.c.input_gradients[i], cpu.c.input_gradients[i], limit);
    }
    for (std::size_t i = 0; i < cpu.c.parameter_gradients.size(); ++i)
      same(gpu.c.parameter_gradients[i], cpu.c.parameter_gradients[i], 2 * limit);
  }
}

}  // namespace trellis::test
