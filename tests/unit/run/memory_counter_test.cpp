#include "run/memory/memory_counter.h"

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <thread>

#include "run/memory/guards.h"
#include "trellis/plan/error.h"

using namespace trellis;

namespace {
at::Tensor bytes(std::int64_t n) { return at::empty({n}, at::kByte); }
}  // namespace

TEST_CASE("tensors are counted by purpose, rounded up to 64 bytes") {
  MemoryCounter counter;
  at::Tensor outside = bytes(1000);
  {
    const CountMemory parameters(counter, Purpose::parameter);
    at::Tensor a = bytes(1), b = bytes(64), c = bytes(65);
    CHECK(counter.current().of(Purpose::parameter) == 256_B);
    const CountMemory gradients(Purpose::gradient);
    at::Tensor d = bytes(4096);
    CHECK(counter.current().of(Purpose::gradient) == 4096_B);
    CHECK(counter.current().total() == 4352_B);
  }
  CHECK(counter.current().total() == 0_B);
  CHECK(counter.peak().total() == 4352_B);
}

TEST_CASE("the peak is that of the sum, with its share of each purpose") {
  MemoryCounter counter;
  const CountMemory guard(counter, Purpose::activation);
  at::Tensor a = bytes(640);
  a = at::Tensor();
  at::Tensor b = bytes(320);
  {
    const CountMemory transient(Purpose::transient);
    at::Tensor c = bytes(640);
  }
  CHECK(counter.peak().total() == 960_B);
  CHECK(counter.peak().of(Purpose::activation) == 320_B);
  CHECK(counter.peak().of(Purpose::transient) == 640_B);
  CHECK(counter.peak_of(Purpose::activation) == 640_B);
  counter.reset_peak();
  CHECK(counter.peak().total() == 320_B);
  CHECK(counter.peak_of(Purpose::transient) == 0_B);
}

TEST_CASE("memory goes back to the counter that it came from, whoever frees it") {
  MemoryCounter mine, other;
  at::Tensor tensor;
  {
    const CountMemory guard(mine, Purpose::optimizer);
    tensor = bytes(128);
  }
  std::jthread([&] {
    const CountMemory guard(other, Purpose::gradient);
    tensor.reset();
  }).join();
  CHECK(mine.current().total() == 0_B);
  CHECK(other.current().total() == 0_B);
}

TEST_CASE("tensors outlive their counter, resize, and are aligned") {
  at::Tensor tensor;
  {
    MemoryCounter counter;
    const CountMemory guard(counter, Purpose::activation);
    tensor = at::ones({3}, at::kFloat);
    tensor.resize_({1000});
    CHECK(counter.current().total() == 4032_B);
  }
  CHECK(tensor[2].item<float>() == 1);
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 64 == 0);
}

TEST_CASE("one LibTorch and one OpenMP runtime are mapped") {
  CHECK(mapped_libraries("libtorch_cpu.so").size() == 1);
  CHECK(mapped_libraries("libgomp").size() == 1);
  CHECK(mapped_libraries("libnothing").empty());
  CHECK_NOTHROW(check_mapped_libraries());
}

TEST_CASE("a second LibTorch or OpenMP runtime is named") {
  const auto message = [](std::vector<std::string> (*list)(const std::string&)) -> std::string {
    try {
      check_mapped_libraries(list);
    } catch (const Error& e) {
      return e.message();
    }
    return {};
  };
  CHECK(message([](const std::string& name) -> std::vector<std::string> {
          if (name == "libtorch_cpu.so") return {"/a/libtorch_cpu.so", "/b/libtorch_cpu.so"};
          return {};
        }) == "two copies of LibTorch are loaded: /a/libtorch_cpu.so, /b/libtorch_cpu.so");
  CHECK(message([](const std::string& name) -> std::vector<std::string> {
          if (name == "libgomp") return {"/a/libgomp.so.1"};
          if (name == "libiomp5") return {"/b/libiomp5.so"};
          return {};
        }) == "two OpenMP runtimes are loaded: /a/libgomp.so.1, /b/libiomp5.so");
}

TEST_CASE("preparing a process sets its threads and flushes denormals") {
  CHECK(prepare_process({.threads = 1}) == 1);
  volatile float smallest = 1e-38f;
  CHECK(smallest * 0.01f == 0.0f);
}
