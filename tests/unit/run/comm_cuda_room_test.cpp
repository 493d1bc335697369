#include "run/comm/cuda_room.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "support/paths.h"
#include "trellis/plan/error.h"

using namespace trellis;

// Which of the three is seen depends on the build and on the machine; each must be told apart.
TEST_CASE("cuda is selected, or the reason why not is told") {
  const bool built = std::filesystem::exists(testing::build_dir() / "lib/libtrellis_cuda.so");
  try {
    const int device = select_cuda_device();
    CHECK(device == 0);
    CHECK(built);
    CHECK(cuda_room().name(0) != "");
    CHECK(cuda_room().memory().total > 0_B);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::unsupported);
    const std::string expected =
        built ? "devices.kind: cuda needs a GPU: the driver reports none" : "devices.kind: cuda is not in this build";
    CHECK(e.message().substr(0, expected.size()) == expected);
  }
}
