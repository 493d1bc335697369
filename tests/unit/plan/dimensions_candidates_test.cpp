#include <doctest/doctest.h>

#include <set>

#include "support/layers.h"
#include "support/plugins.h"
#include "trellis/plan/plan_file.h"

using namespace trellis;

namespace {

std::string listed(const LayerSpec& layer, const SpaceContext& space, const Dimensions& dimensions) {
  std::string text;
  for (const Candidate& candidate : candidates(layer, space, dimensions))
    text += (text.empty() ? "" : "; ") + to_string(candidate.strategy);
  return text;
}

Dimensions only(std::initializer_list<std::string_view> names) {
  Dimensions dimensions;
  for (const std::string_view name : names) dimensions.push_back(test::dimension(name));
  return dimensions;
}

}  // namespace

TEST_CASE("candidates are the product of settings without what is impossible, the simplest first") {
  CHECK(listed(test::block_dims(), {{{2, 2}}, 0}, only({"dp", "tp", "megatron_sp", "ulysses"})) ==
        "-; ulysses 2; ulysses 4; tp 2; tp 2, megatron_sp; tp 4; tp 4, megatron_sp");
  CHECK(listed(test::embedding_dims(), {{{2}}, 0}, only({"ckpt", "tp", "dp"})) ==
        "-; ckpt full; tp 2; tp 2, ckpt full");
}

TEST_CASE("on one device there are two candidates, with and without recomputation") {
  CHECK(listed(test::block_dims(), {{{}}, 0}, test::dimensions()) == "-; ckpt full");
}

TEST_CASE("a block on 8 devices has 80 candidates, all different") {
  const auto found = candidates(test::block_dims(16), {{{2, 2, 2}}, 0}, test::dimensions());
  CHECK(found.size() == 80);
  std::set<std::string> keys;
  for (const Candidate& candidate : found) keys.insert(candidate.placement.key());
  CHECK(keys.size() == found.size());
}

TEST_CASE("candidates come in the same order whatever the order of the plugins") {
  Dimensions reversed(test::dimensions().rbegin(), test::dimensions().rend());
  const SpaceContext space{{{2, 3}}, 0};
  CHECK(listed(test::block_dims(), space, reversed) == listed(test::block_dims(), space, test::dimensions()));
}

TEST_CASE("every candidate's strategy means its placement") {
  const SpaceContext space{{{2, 2}}, 0};
  for (const Candidate& candidate : candidates(test::block_dims(), space, test::dimensions())) {
    const Placed placed = place(candidate.strategy, test::block_dims(), space.line, test::dimensions());
    REQUIRE(placed.placement);
    CHECK(*placed.placement == candidate.placement);
  }
}
