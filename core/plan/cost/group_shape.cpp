// How groups of devices lie in the nodes of a cluster, and what a collective makes of the links there.
#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>

#include "trellis/plan/profile.h"

namespace trellis {
namespace {

using RanksInNodes = std::map<int, int>;  // by node

RanksInNodes ranks_in_nodes(const std::vector<int>& group, int first_device, int devices_per_node) {
  RanksInNodes count;
  for (const int rank : group) ++count[(first_device + rank) / devices_per_node];
  return count;
}

int fewest(const RanksInNodes& count) {
  return std::ranges::min_element(count, {}, &RanksInNodes::value_type::second)->second;
}

int steps(int ranks) { return std::bit_width(static_cast<unsigned>(std::max(ranks - 1, 0))); }  // ceil(log2)

// Where every atom of the line lies within a node or counts nodes, all groups are alike. Nothing where one does both.
std::optional<GroupShape> regular_shape(const DeviceLine& line, const AxisList& axes, int devices_per_node) {
  GroupShape shape;
  int in_node = 1;
  for (int stride = 1, a = static_cast<int>(line.atoms.size()) - 1; a >= 0; --a) {
    const int size = line.atoms[static_cast<std::size_t>(a)];
    const bool inside = devices_per_node % (stride * size) == 0;
    if (!inside && stride % devices_per_node != 0) return std::nullopt;
    if (inside) in_node *= size;
    if (std::ranges::count(axes, static_cast<Atom>(a)) > 0) (inside ? shape.per_node : shape.nodes) *= size;
    stride *= size;
  }
  shape.ranks = shape.per_node * shape.nodes;
  shape.siblings = in_node / shape.per_node;
  return shape;
}

}  // namespace

std::vector<GroupShape> group_shapes(const DeviceLine& line, const AxisList& axes, int first_device,
                                     int devices_per_node) {
  const int ranks = line.degree(axes);
  const int offset = first_device % devices_per_node;
  if (offset + line.size() <= devices_per_node)
    return {{.ranks = ranks, .nodes = 1, .per_node = ranks, .siblings = line.size() / ranks}};
  if (offset == 0)
    if (const std::optional<GroupShape> all = regular_shape(line, axes, devices_per_node)) return {*all};

  std::vector<RanksInNodes> groups;
  std::vector<bool> seen(static_cast<std::size_t>(line.size()));
  for (int rank = 0; rank < line.size(); ++rank) {
    if (seen[static_cast<std::size_t>(rank)]) continue;
    const std::vector<int> group = line.group(rank, axes);
    for (const int member : group) seen[static_cast<std::size_t>(member)] = true;
    groups.push_back(ranks_in_nodes(group, offset, devices_per_node));
  }
  std::map<std::pair<int, bool>, int> groups_at;  // by node, and whether they leave it
  for (const RanksInNodes& group : groups)
    for (const auto& [node, count] : group) ++groups_at[{node, group.size() > 1}];
  std::set<GroupShape> shapes;
  for (const RanksInNodes& group : groups) {
    GroupShape shape{
        .ranks = ranks, .nodes = static_cast<int>(group.size()), .per_node = fewest(group), .siblings = 1};
    for (const auto& [node, count] : group)
      shape.siblings = std::max(shape.siblings, groups_at.at({node, group.size() > 1}));
    shapes.insert(shape);
  }
  return {shapes.begin(), shapes.end()};
}

GroupShape transfer_shape(int ranks, int first_device, int distance, int devices_per_node) {
  std::map<int, int> leaving, staying;  // pairs, by node
  for (int device = first_device; device < first_device + ranks; ++device) {
    const int node = device / devices_per_node;
    ++((device + distance) / devices_per_node == node ? staying : leaving)[node];
  }
  const std::map<int, int>& pairs = leaving.empty() ? staying : leaving;
  return {.ranks = 2,
          .nodes = leaving.empty() ? 1 : 2,
          .per_node = leaving.empty() ? 2 : 1,
          .siblings = std::ranges::max_element(pairs, {}, &std::pair<const int, int>::second)->second};
}

namespace {

// What a device receives at, where `streams` of its node come over a link that they may share.
double rate(const Link& link, double streams) { return link.is_shared ? link.bandwidth / streams : link.bandwidth; }

// Every pair of ranks exchanges as much as any other.
double all_to_all_rate(const Link& inside, const Link& between, const GroupShape& g) {
  const double streams = static_cast<double>(g.per_node) * g.siblings;
  const double from_node = static_cast<double>(g.per_node - 1) / (g.ranks - 1);
  const double at_home = from_node > 0 ? rate(inside, streams) / from_node : 0;
  if (g.nodes == 1) return at_home;
  const double abroad = rate(between, streams) / (1 - from_node);
  return from_node > 0 ? std::min(at_home, abroad) : abroad;
}

// Rings: what passes between neighbors is what every rank receives. They enter a node and leave it once each; with a
// link a device there are as many rings, each with its part, as the group has devices in the node.
double ring_rate(const Link& inside, const Link& between, const GroupShape& g, bool one_way) {
  const int hops = one_way ? 1 : g.nodes == 1 ? g.per_node : g.per_node - 1;  // in the node
  const double at_home = hops > 0 ? rate(inside, static_cast<double>(hops) * g.siblings) : 0;
  if (g.nodes == 1) return at_home;
  const double abroad = between.is_shared ? between.bandwidth / g.siblings : between.bandwidth * g.per_node;
  return hops > 0 && !one_way ? std::min(at_home, abroad) : abroad;
}

}  // namespace

Link Cluster::link(MoveKind kind, const GroupShape& g) const {
  const bool one_way = kind == MoveKind::send_recv;
  Link link;
  link.latency = g.nodes == 1 ? inside.latency * steps(g.ranks)
                              : inside.latency * steps((g.ranks + g.nodes - 1) / g.nodes) + between.latency * steps(g.nodes);
  link.bandwidth =
      kind == MoveKind::all_to_all ? all_to_all_rate(inside, between, g) : ring_rate(inside, between, g, one_way);
  return link;
}

}  // namespace trellis
