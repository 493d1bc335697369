#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/samples/blend.h"
#include "data/samples/token_reader.h"
#include "trellis/plan/error.h"

using namespace trellis;
using namespace trellis::data;

namespace {

std::string order(const Blend& blend, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += static_cast<char>('a' + blend(i).source);
  return result;
}

}  // namespace

TEST_CASE("the next sample is of the source that lags most behind its share") {
  CHECK(order(Blend({1, 1}), 8) == "abababab");
  CHECK(order(Blend({3, 1}), 8) == "abaaabaa");
  CHECK(order(Blend({0.5, 0.3, 0.2}), 10) == "abcabacaba");
  CHECK(order(Blend({7}), 3) == "aaa");
}

TEST_CASE("a source's samples come one after another, none twice and none left out, in whatever order one asks") {
  const Blend blend({0.7, 0.2, 0.1}), asked_backwards({0.7, 0.2, 0.1});
  std::vector<std::int64_t> next(3);
  std::vector<Blended> all;
  for (int i = 0; i < 20000; ++i) {
    all.push_back(blend(i));
    CHECK(all.back().index == next[static_cast<std::size_t>(all.back().source)]++);
  }
  CHECK(next == std::vector<std::int64_t>{14000, 4000, 2000});
  for (int i = 19999; i >= 0; i -= 613) {
    const Blended again = asked_backwards(i);
    CHECK(again.source == all[static_cast<std::size_t>(i)].source);
    CHECK(again.index == all[static_cast<std::size_t>(i)].index);
  }
}

TEST_CASE("a source with a limit gives no more, and the others go on") {
  const Blend blend({1, 1}, {2, 5});
  CHECK(order(blend, 7) == "ababbbb");
  CHECK_THROWS_WITH_AS(blend(7), "blend: sample 7 is behind the last one", Error);
}

TEST_CASE("rows of tokens are joined and cut without copies") {
  const auto row = joined({in_memory({1, 2, 3}), in_memory({}), in_memory({4, 5})});
  CHECK(row->size() == 5);
  std::vector<std::int64_t> out(4);
  row->read(1, out);
  CHECK(out == std::vector<std::int64_t>{2, 3, 4, 5});
  const auto part = part_of(row, 2, 4);
  CHECK(part->size() == 2);
  out.resize(2);
  part->read(0, out);
  CHECK(out == std::vector<std::int64_t>{3, 4});
}
