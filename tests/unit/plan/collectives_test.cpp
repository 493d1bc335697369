// What collectives cost by how their groups lie in the nodes, and by who shares the links.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

// Inside 100 GB/s and 10 us, between nodes 10 GB/s and 50 us.
Cluster cluster(bool shared_between, bool shared_inside = false) {
  Cluster c = test::plain_cluster();
  c.devices_per_node = 8;
  c.inside = {.latency = 10_us, .bandwidth = 100e9, .is_shared = shared_inside};
  c.between = {.latency = 50_us, .bandwidth = 10e9, .is_shared = shared_between};
  return c;
}

const DeviceLine kSixteen{{2, 2, 2, 2}};  // axis 0 cuts between two nodes of 8
GroupShape shape(const AxisList& axes, int node = 8) {
  const auto all = group_shapes(kSixteen, axes, 0, node);
  REQUIRE(all.size() == 1);
  return all.front();
}
double gb_per_s(const Cluster& c, MoveKind kind, const GroupShape& g) { return c.link(kind, g).bandwidth / 1e9; }

}  // namespace

TEST_CASE("a group's shape is its ranks in a node, its nodes, and the groups beside it") {
  CHECK(shape({3}) == GroupShape{.ranks = 2, .nodes = 1, .per_node = 2, .siblings = 4});           // tp 2
  CHECK(shape({1, 2, 3}) == GroupShape{.ranks = 8, .nodes = 1, .per_node = 8, .siblings = 1});     // a whole node
  CHECK(shape({0}) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 8});           // stride 8
  CHECK(shape({0, 1}) == GroupShape{.ranks = 4, .nodes = 2, .per_node = 2, .siblings = 4});        // stride 4
  CHECK(shape({0, 1, 2, 3}) == GroupShape{.ranks = 16, .nodes = 2, .per_node = 8, .siblings = 1});
  CHECK(shape({0}, 16) == GroupShape{.ranks = 2, .nodes = 1, .per_node = 2, .siblings = 8});
  CHECK(shape({2, 3}, 2) == GroupShape{.ranks = 4, .nodes = 2, .per_node = 2, .siblings = 1});     // tp across nodes
  // A line of 6 on nodes of 4: {0 1 2} stays in a node, {3 4 5} has one rank in the first and two in the second.
  const auto uneven = group_shapes(DeviceLine{{2, 3}}, {1}, 0, 4);
  REQUIRE(uneven.size() == 2);
  CHECK(uneven[0] == GroupShape{.ranks = 3, .nodes = 1, .per_node = 3, .siblings = 1});
  CHECK(uneven[1] == GroupShape{.ranks = 3, .nodes = 2, .per_node = 1, .siblings = 1});
  // The same line further on: it begins in the middle of a node.
  CHECK(group_shapes(DeviceLine{{2, 3}}, {1}, 6, 4).size() == 2);
  CHECK(group_shapes(DeviceLine{{2}}, {0}, 3, 4).front().nodes == 2);
}

TEST_CASE("shapes told from the atoms' sizes are those found rank by rank") {
  for (const std::vector<int>& atoms : std::vector<std::vector<int>>{{2, 2, 2, 2}, {3, 2, 2}, {2, 2, 3}, {3, 2, 2, 2}})
    for (unsigned chosen = 1; chosen < 1u << atoms.size(); ++chosen)
      for (const int node : {2, 3, 4, 6, 8}) {
        AxisList axes;
        for (std::size_t a = 0; a < atoms.size(); ++a)
          if (chosen >> a & 1) axes.push_back(static_cast<Atom>(a));
        const DeviceLine line{atoms};
        const auto shapes = group_shapes(line, axes, 0, node);
        int most_in_node = 0, fewest_in_node = 1000;
        for (int rank = 0; rank < line.size(); ++rank) {
          std::map<int, int> in_node;
          for (const int member : line.group(rank, axes)) ++in_node[member / node];
          const int fewest = std::ranges::min_element(in_node, {}, [](const auto& n) { return n.second; })->second;
          CHECK(std::ranges::any_of(shapes, [&](const GroupShape& s) {
            return s.nodes == static_cast<int>(in_node.size()) && s.per_node == fewest && s.ranks == line.degree(axes);
          }));
          most_in_node = std::max(most_in_node, fewest), fewest_in_node = std::min(fewest_in_node, fewest);
        }
        CHECK(std::ranges::max_element(shapes, {}, &GroupShape::per_node)->per_node == most_in_node);
        CHECK(std::ranges::min_element(shapes, {}, &GroupShape::per_node)->per_node == fewest_in_node);
      }
}

TEST_CASE("what goes to another stage crosses as many links as devices have their counterpart in another node") {
  CHECK(transfer_shape(8, 0, 8, 8) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 8});
  CHECK(transfer_shape(16, 0, 16, 8) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 8});
  CHECK(transfer_shape(4, 0, 4, 8) == GroupShape{.ranks = 2, .nodes = 1, .per_node = 2, .siblings = 4});
  CHECK(transfer_shape(4, 4, 4, 8) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 4});
  CHECK(transfer_shape(4, 8, -4, 8) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 4});
  CHECK(transfer_shape(3, 0, 3, 4) == GroupShape{.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 2});  // 0 -> 3 stays
}

TEST_CASE("with a link a device a ring across nodes has as many of them as the group has ranks in a node") {
  const Cluster c = cluster(false);
  for (const MoveKind ring : {MoveKind::all_gather, MoveKind::reduce_scatter, MoveKind::all_reduce}) {
    CHECK(gb_per_s(c, ring, shape({1, 2, 3})) == doctest::Approx(100));    // one node
    CHECK(gb_per_s(c, ring, shape({0})) == doctest::Approx(10));           // 2 nodes x 8, dp groups of stride 8
    CHECK(gb_per_s(c, ring, shape({0, 1})) == doctest::Approx(20));
    CHECK(gb_per_s(c, ring, shape({0, 1, 2, 3})) == doctest::Approx(80));  // all 16
    CHECK(gb_per_s(c, ring, {.ranks = 32, .nodes = 2, .per_node = 16, .siblings = 1}) == doctest::Approx(100));
  }
  CHECK(gb_per_s(c, MoveKind::send_recv, transfer_shape(8, 0, 8, 8)) == doctest::Approx(10));
}

TEST_CASE("a link that a node's devices share is divided among the groups that use it") {
  const Cluster c = cluster(true);
  CHECK(gb_per_s(c, MoveKind::all_reduce, shape({1, 2, 3})) == doctest::Approx(100));
  CHECK(gb_per_s(c, MoveKind::all_reduce, shape({0})) == doctest::Approx(10.0 / 8));
  CHECK(gb_per_s(c, MoveKind::all_reduce, shape({0, 1})) == doctest::Approx(10.0 / 4));
  CHECK(gb_per_s(c, MoveKind::all_reduce, shape({0, 1, 2, 3})) == doctest::Approx(10));
  CHECK(gb_per_s(c, MoveKind::send_recv, transfer_shape(8, 0, 8, 8)) == doctest::Approx(10.0 / 8));
  // A bus in the node carries what every rank receives.
  const Cluster bus = cluster(true, true);
  CHECK(gb_per_s(bus, MoveKind::all_gather, shape({3})) == doctest::Approx(100.0 / 8));
  CHECK(gb_per_s(bus, MoveKind::all_gather, shape({1, 2, 3})) == doctest::Approx(100.0 / 8));
  CHECK(gb_per_s(bus, MoveKind::send_recv, transfer_shape(4, 0, 4, 8)) == doctest::Approx(100.0 / 4));
}

TEST_CASE("in an all-to-all only what is for other nodes leaves the node, and every rank's part does") {
  // 16 ranks: 8 of the 15 pieces that a rank receives come from the other node.
  CHECK(gb_per_s(cluster(false), MoveKind::all_to_all, shape({0, 1, 2, 3})) == doctest::Approx(10.0 * 15 / 8));
  CHECK(gb_per_s(cluster(true), MoveKind::all_to_all, shape({0, 1, 2, 3})) == doctest::Approx(10.0 / 8 * 15 / 8));
  CHECK(gb_per_s(cluster(false), MoveKind::all_to_all, shape({0})) == doctest::Approx(10));
  CHECK(gb_per_s(cluster(false), MoveKind::all_to_all, shape({1, 2, 3})) == doctest::Approx(100));
}

TEST_CASE("latency grows with the logarithm of the ranks in a node, and of the nodes") {
  const Cluster c = cluster(false);
  const auto latency = [&](const GroupShape& g) { return c.link(MoveKind::all_reduce, g).latency; };
  CHECK(latency(shape({3})) == 10_us);
  CHECK(latency(shape({1, 2, 3})) == 30_us);
  CHECK(latency(shape({0})) == 50_us);
  CHECK(latency(shape({0, 1, 2, 3})) == 80_us);
}

TEST_CASE("a collective ends with the slowest group of the line") {
  const auto prices = test::plain_prices(2);  // inside 10 us, 10 GB/s; between 100 us, 1 GB/s
  const auto time = [&](const DeviceLine& line, const AxisList& axes, int first) {
    return prices->collective(MoveKind::all_reduce, 10_B * 1000 * 1000, line, axes, {.first_device = first});
  };
  CHECK(time({{2}}, {0}, 0) == 10_us + 1_ms);
  CHECK(time({{2}}, {0}, 1) == 100_us + 10_ms);
  CHECK(time({{2, 2}}, {1}, 0) == 10_us + 1_ms);
  CHECK(time({{2, 2}}, {1}, 1) == 100_us + 10_ms);  // {1 2} crosses, and {3 4} does
  CHECK(time({{2, 2}}, {0, 1}, 0) == 110_us + 5_ms);
  CHECK(prices->transfer(10_B * 1000 * 1000, {{2}}, {.first_device = 0}, 2) == 100_us + 10_ms);
  CHECK(prices->transfer(10_B * 1000 * 1000, {{}}, {.first_device = 0}, 1) == 10_us + 1_ms);
}

TEST_CASE("what one group was measured to take, siblings on a shared link take together") {
  Cluster shared = cluster(true);
  Profile profile;
  profile.links = {{.kind = MoveKind::all_reduce, .ranks = 2, .between_nodes = true, .link = {.latency = 50_us, .bandwidth = 8e9}}};
  const auto time = [&](const Cluster& c) {
    const Prices prices(c, profile, test::op_library());
    return prices.collective(MoveKind::all_reduce, 8_B * 1000 * 1000, shape({0}));
  };
  CHECK(time(cluster(false)) == 50_us + 1_ms);
  CHECK(time(cluster(true)) == 50_us + 8_ms);
}
