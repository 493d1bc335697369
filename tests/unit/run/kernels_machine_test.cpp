#include <doctest/doctest.h>

#include "run/kernels/machine.h"
#include "trellis/plan/error.h"

namespace trellis {

TEST_CASE("a machine with slow matrix products is refused, with what to do") {
  CHECK_NOTHROW(require_fast_products(2, [] { return 40.0; }));
  CHECK_THROWS_WITH_AS(require_fast_products(2, [] { return 39.0; }),
                       doctest::Contains("39.0 GFLOP/s on 2 threads; at least 20 a thread are expected"), Error);
}

TEST_CASE("this machine's matrix products are real") { CHECK_NOTHROW(require_fast_products(1)); }

}  // namespace trellis
