#include <doctest/doctest.h>

#include <set>

#include "trellis/plan/error.h"
#include "trellis/plan/model.h"
#include "trellis/plan/placement.h"

using namespace trellis;

TEST_CASE("claim takes the innermost free atoms, innermost first") {
  Placement placement({{2, 3, 2}});
  CHECK(placement.claim("tp", 6) == AxisList{2, 1});
  CHECK(placement.claim("other", 2) == AxisList{0});
  CHECK(placement.axis("tp") == AxisList{2, 1});
  CHECK(placement.axis("nobody") == AxisList{});
}

TEST_CASE("a degree that is no product of the innermost free atoms is not claimed, and leaves nothing claimed") {
  Placement placement({{2, 3, 2}});
  CHECK_FALSE(placement.claim("tp", 3));
  CHECK_FALSE(placement.claim("tp", 24));
  CHECK_FALSE(placement.claim("tp", 0));
  CHECK(placement.claim("tp", 1) == AxisList{});
  CHECK(placement.claim("cp", 2) == AxisList{2});
}

TEST_CASE("claim_rest takes every atom that is free") {
  Placement placement({{2, 2, 2}});
  placement.claim("tp", 2);
  CHECK(placement.claim_rest("dp") == AxisList{1, 0});
  CHECK(placement.claim_rest("more") == AxisList{});
}

TEST_CASE("to claim twice under one name is a defect of the plugin") {
  Placement placement({{2, 2}});
  placement.claim("tp", 2);
  CHECK_THROWS_WITH_AS(placement.claim("tp", 2), "parallelism 'tp' claims devices twice for one layer", Error);
  CHECK_THROWS_AS(placement.claim_rest("tp"), Error);
}

TEST_CASE("batch lists its atoms outermost first, every other role innermost first") {
  Placement placement({{2, 2, 2, 2}});
  placement.split(kBatch, {1, 0});
  placement.split(kSequence, {2, 3});
  CHECK(placement.axes(kBatch, kLinear) == AxisList{0, 1});
  CHECK(placement.axes(kSequence, kLinear) == AxisList{3, 2});
  CHECK(placement.axes(kVocab, kLinear) == AxisList{});
}

TEST_CASE("splits of one role add up in the regions that they cover") {
  Placement placement({{2, 2, 2}});
  placement.split(kSequence, {2}, Regions::outside(kAttention));
  placement.split(kSequence, {1}, Regions::inside(kResidual));
  CHECK(placement.axes(kSequence, kResidual) == AxisList{2, 1});
  CHECK(placement.axes(kSequence, kLinear) == AxisList{2});
  CHECK(placement.axes(kSequence, kAttention) == AxisList{});
  CHECK(placement.axes(kSequence, "a plugin's own region") == AxisList{2});
}

TEST_CASE("the multiple of a role is the common one of its degrees in all regions") {
  Placement placement({{2, 3}});
  CHECK(placement.multiple(kSequence) == 1);
  placement.split(kSequence, {1}, Regions::outside(kAttention));
  placement.split(kSequence, {0}, Regions::inside(kAttention));
  CHECK(placement.axes(kSequence, kAttention) == AxisList{0});
  CHECK(placement.multiple(kSequence) == 6);
  CHECK(placement.multiple(kHeads) == 1);
}

TEST_CASE("placements are equal when they mean the same, in whatever order it was declared") {
  Placement one({{2, 2}}), other({{2, 2}});
  one.split(kHeads, {1, 0});
  one.split(kBatch, {});
  one.split_state(Life::gradient);
  one.split_state(Life::optimizer);
  other.split_state(Life::optimizer);
  other.split_state(Life::gradient);
  other.split(kHeads, {0});
  other.split(kHeads, {1});
  CHECK(one.key() == "line 2x2; heads on 0,1; split gradient; split optimizer");
  CHECK(one == other);
}

TEST_CASE("placements differ by line, axes, regions, lives, what is retained and which contracts are used") {
  const auto edited = [](auto edit, std::vector<int> atoms = {2, 2}) {
    Placement placement(DeviceLine{atoms});
    edit(placement);
    return placement.key();
  };
  const std::vector<std::string> keys{
      edited([](Placement&) {}),
      edited([](Placement&) {}, {4}),
      edited([](Placement& p) { p.split(kHeads, {1}); }),
      edited([](Placement& p) { p.split(kHeads, {0}); }),
      edited([](Placement& p) { p.split(kHeads, {1}, Regions::inside(kAttention)); }),
      edited([](Placement& p) { p.split(kHeads, {1}, Regions::outside(kAttention)); }),
      edited([](Placement& p) { p.split_state(Life::storage); }),
      edited([](Placement& p) { p.retain(Retain::boundary); }),
      edited([](Placement& p) { p.substitute("attention", "ring_attention"); }),
  };
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == keys.size());
}

TEST_CASE("on one device a split life is no choice") {
  Placement whole(DeviceLine{}), split(DeviceLine{});
  split.split_state(Life::optimizer);
  CHECK(whole == split);
}

TEST_CASE("a substituted contract is used for its kind only") {
  Placement placement({{2}});
  placement.substitute("attention", "ring_attention");
  CHECK(placement.contract_for("attention") == "ring_attention");
  CHECK(placement.contract_for("linear") == "linear");
}
