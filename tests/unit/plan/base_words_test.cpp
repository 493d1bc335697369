#include <doctest/doctest.h>

#include "plan/base/words.h"

using namespace trellis;

TEST_CASE("counts are written as people write them") {
  CHECK(number_of(1, "stage") == "1 stage");
  CHECK(number_of(4, "stage") == "4 stages");
  CHECK(number_of(2, "micro-batch") == "2 micro-batches");
  CHECK(number_of(10, "class") == "10 classes");
  CHECK(count_of(12, "texts") == "12 texts");
  CHECK(count_of(1'500, "tokens") == "1.5 k tokens");
  CHECK(count_of(23'000'000, "parameters") == "23.00 M parameters");
}
