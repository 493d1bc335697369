#include "run/comm/cuda_room.h"
#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

TEST_CASE("kernels for cuda are refused with the reason where there is no GPU") {
  try {
    const KernelLibrary kernels("cuda");
    CHECK(cuda_room().devices() > 0);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::unsupported);
    CHECK(static_cast<int>(error.code()) == 8);
    CHECK(error.message().starts_with("devices.kind: cuda "));
    CHECK_FALSE(error.hint().empty());
  }
}

TEST_CASE("a device that nobody knows is refused") {
  CHECK_THROWS_WITH_AS(KernelLibrary("tpu"), "no kernels for the device 'tpu'; expected cpu or cuda", Error);
}

TEST_CASE("a replaced kernel is the one that is found") {
  KernelLibrary kernels;
  const OpKernel* before = &kernels.find("add");
  kernels.replace("gelu", std::shared_ptr<const OpKernel>(std::shared_ptr<void>(), before));
  CHECK(&kernels.find("gelu") == before);
}

}  // namespace
}  // namespace trellis::test
