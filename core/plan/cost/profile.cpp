// Profiles and cluster descriptions as files.
#include "trellis/plan/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/run/values.h"
#include "trellis/plan/error.h"

namespace trellis {

Picoseconds Link::time(Bytes bytes) const {
  if (bandwidth <= 0) return latency;
  return latency + from_seconds(static_cast<double>(bytes.value) / bandwidth);
}

Picoseconds interpolated(const TimedSizes& points, Bytes bytes) {
  if (bytes <= points.front().first) return points.front().second;
  auto above = std::ranges::lower_bound(points, bytes, {}, [](const auto& p) { return p.first; });
  if (above == points.end()) --above;
  const auto below = above - 1;
  const double share = ratio(bytes - below->first, above->first - below->first);
  const auto slope = static_cast<double>((above->second - below->second).value);
  return Picoseconds(below->second.value + static_cast<std::int64_t>(share * std::max(0.0, slope)));
}

double interpolation_error(const TimedSizes& points, Bytes bytes) {
  if (points.size() < 2 || bytes <= points.front().first) return 0;
  auto next = std::ranges::lower_bound(points, bytes, {}, [](const auto& p) { return p.first; });
  if (next != points.end() && next->first == bytes) return 0;
  const auto above = static_cast<std::size_t>(next - points.begin());
  const auto share = [](Picoseconds part, Picoseconds whole) {
    return std::abs(static_cast<double>(part.value)) / static_cast<double>(std::max<std::int64_t>(1, whole.value));
  };
  double missed = 0;
  for (const std::size_t k : {above - 1, above})
    if (k > 0 && k + 1 < points.size())
      missed = std::max(missed, share(interpolated({points[k - 1], points[k + 1]}, points[k].first) - points[k].second,
                                      points[k].second));
  const Picoseconds time = interpolated(points, bytes);
  const double between = above < points.size()
                             ? share(std::max(points[above].second - time, time - points[above - 1].second), time)
                             : missed;
  return std::min(missed / 2, between);
}

Picoseconds LinkFit::time(Bytes bytes) const {
  return points.size() < 2 ? link.time(bytes) : interpolated(points, bytes);
}

std::string_view name_of(Basis basis) {
  switch (basis) {
    case Basis::measured:
      return "measured here";
    case Basis::interpolated:
      return "measured here, partly interpolated";
    case Basis::estimated:
      return "estimated from a cluster description";
  }
  return "";
}

namespace {

// What a cluster's description says of a program that was never run there is no measurement; nor is an interval more
// than the whole.
constexpr double kEstimated = 0.5, kMost = 0.9;

}  // namespace

double uncertainty(Basis basis, double off) {
  return std::min(kMost, basis == Basis::estimated ? kEstimated + off : off);
}

namespace {

void check_kind(const Options& file, std::string_view kind) {
  if (const auto version = file.required<std::string>("apiVersion"); version != "trellis/v1")
    file.reject("apiVersion", fmt::format("expected trellis/v1, found {}", version));
  if (const auto found = file.required<std::string>("kind"); found != kind)
    file.reject("kind", fmt::format("expected {}, found {}", kind, found));
}

// Units have no Options type of their own: read as text and parsed, errors marked at the key.
template <class Parse>
double read_rate(const Options& section, std::string_view key, Parse&& parse) {
  const std::string text = section.required<std::string>(key);
  try {
    return parse(text);
  } catch (const Error& error) {
    section.reject(key, error.message(), error.hint());
  }
}

Link read_link(const Options& section) {
  Link link;
  link.latency = section.required<Picoseconds>("latency");
  link.bandwidth = read_rate(section, "bandwidth", parse_bandwidth);
  return link;
}

// With `per: node` the bandwidth is that of one link for all devices of a node.
Link read_described_link(const Options& section) {
  Link link = read_link(section);
  if (!(link.bandwidth > 0)) section.reject("bandwidth", "expected more than 0");
  const std::string per = section.get("per", "device");
  if (per != "device" && per != "node")
    section.reject("per", fmt::format("expected device or node, found '{}'", per),
                   "device: each has such a link; node: there is one for all devices of a node");
  link.is_shared = per == "node";
  return link;
}

[[noreturn]] void reject_slowdown(const Options& file, double found) {
  file.reject("slowdown", fmt::format("expected 1 to 2, found {}", found),
              "1: computing and communicating do not disturb each other; 2: they take turns");
}

MoveKind read_move_kind(const Options& section) {
  const std::string name = section.required<std::string>("kind");
  std::vector<std::string> names;
  for (int k = static_cast<int>(MoveKind::all_gather); k <= static_cast<int>(MoveKind::send_recv); ++k) {
    names.emplace_back(name_of(static_cast<MoveKind>(k)));
    if (names.back() == name) return static_cast<MoveKind>(k);
  }
  section.reject("kind", fmt::format("no collective is named '{}'", name), suggestion_hint(name, names, "there are"));
}

std::uint64_t hash(std::string_view text) {  // FNV-1a, 64 bits
  std::uint64_t h = 14695981039346656037ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h;
}

std::string yaml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

Cluster read_cluster(const Options& file) {
  check_kind(file, "Cluster");
  Cluster cluster;
  cluster.name = file.required<std::string>("name");
  cluster.devices_per_node = file.get("devices_per_node", 1);
  if (cluster.devices_per_node < 1) file.reject("devices_per_node", "a node has at least one device");
  cluster.memory = file.required<Bytes>("memory");
  const Options flops = file.section("flops");
  for (const std::string& dtype : flops.keys()) cluster.flops[dtype] = read_rate(flops, dtype, parse_flops);
  if (cluster.flops.empty()) file.reject("flops", "expected peak rates by dtype, as in {f32: 19.5TFLOP/s}");
  cluster.efficiency = values::share_or_all(file, "efficiency", 0.5);
  if (!(cluster.efficiency > 0)) file.reject("efficiency", "expected more than 0: no product reaches nothing of the peak");
  cluster.memory_bandwidth = read_rate(file, "memory_bandwidth", parse_bandwidth);
  cluster.launch = file.get("launch", Picoseconds{0});
  cluster.slowdown = file.get("slowdown", 1.0);
  if (!(cluster.slowdown >= 1 && cluster.slowdown <= 2)) reject_slowdown(file, cluster.slowdown);
  const Options links = file.section("links");
  cluster.inside = read_described_link(links.section("inside"));
  cluster.between = links.has("between") ? read_described_link(links.section("between")) : cluster.inside;
  file.finish();
  return cluster;
}

std::string Profile::fingerprint() const {
  std::string text;
  for (const auto& [name, value] : machine) text += name + "=" + value + ";";
  return fmt::format("{:016x}", hash(text));
}

namespace {

std::string points_text(const TimedSizes& points) {
  std::string text;
  for (const auto& [bytes, time] : points)
    text += fmt::format("{}{{bytes: {}, time: {}}}", text.empty() ? "" : ", ", exact(bytes), exact(time));
  return text;
}

}  // namespace

std::string to_yaml(const Profile& profile) {
  std::string text = "apiVersion: trellis/v1\nkind: Profile\n";
  text += fmt::format("fingerprint: {}\nmachine:\n", yaml_text(profile.fingerprint()));
  for (const auto& [name, value] : profile.machine) text += fmt::format("  {}: {}\n", name, yaml_text(value));
  if (profile.copy_bandwidth > 0) text += fmt::format("copy_bandwidth: {:.6f}GB/s\n", profile.copy_bandwidth / 1e9);
  if (profile.adamw.value > 0) text += fmt::format("adamw: {}  # a million elements\n", exact(profile.adamw));
  if (profile.launch.value > 0) text += fmt::format("launch: {}\n", exact(profile.launch));
  if (profile.norm.value > 0) text += fmt::format("norm: {}  # a million elements\n", exact(profile.norm));
  if (profile.slowdown > 0) text += fmt::format("slowdown: {:.4g}\n", profile.slowdown);
  if (profile.spread > 0) text += fmt::format("spread: {:.4g}\n", profile.spread);
  if (profile.unexplained > 0) text += fmt::format("unexplained: {:.4g}\n", profile.unexplained);
  if (!profile.copies.empty()) text += "copies: [" + points_text(profile.copies) + "]\n";
  if (!profile.links.empty()) text += "links:\n";
  for (const LinkFit& fit : profile.links) {
    text +=
        fmt::format("  - {{kind: {}, ranks: {}, between_nodes: {}, latency: {}, bandwidth: {:.6g}GB/s",
                    name_of(fit.kind), fit.ranks, fit.between_nodes, exact(fit.link.latency), fit.link.bandwidth / 1e9);
    if (fit.spread > 0) text += fmt::format(", spread: {:.4g}", fit.spread);
    if (!fit.points.empty()) text += ",\n     points: [" + points_text(fit.points) + "]";
    text += "}\n";
  }
  if (!profile.compute.empty()) text += "compute:\n";
  for (const auto& [key, time] : profile.compute) {
    const auto spread = profile.spreads.find(key);
    text += fmt::format("  - {{key: {}, time: {}{}}}\n", yaml_text(key), exact(time),
                        spread == profile.spreads.end() ? "" : fmt::format(", spread: {:.4g}", spread->second));
  }
  return text;
}

namespace {

// Times are more than zero: a kernel that takes none, or less, was not measured.
Picoseconds read_measured(const Options& section, std::string_view key) {
  const auto time = section.required<Picoseconds>(key);
  if (time.value <= 0) section.reject(key, "expected a time of more than 0", "profile again, with --fresh");
  return time;
}

// A number that is one: not NaN, not infinite, not negative.
double read_number(const Options& section, std::string_view key) {
  const double value = section.get(key, 0.0);
  if (!(value >= 0) || std::isinf(value)) section.reject(key, fmt::format("expected a number of at least 0, found {}", value));
  return value;
}

TimedSizes read_sizes(const Options& section, std::string_view key) {
  TimedSizes sizes;
  for (const Options& point : section.list(key)) {
    const auto bytes = point.required<Bytes>("bytes");
    if (!sizes.empty() && bytes <= sizes.back().first)
      point.reject("bytes", "expected more than those of the point before");
    sizes.emplace_back(bytes, read_measured(point, "time"));
  }
  if (sizes.size() == 1)
    section.reject(key, "one point is too few: between two sizes times are interpolated", "profile again, with --fresh");
  return sizes;
}

LinkFit read_link_fit(const Options& entry) {
  LinkFit fit;
  fit.kind = read_move_kind(entry);
  fit.ranks = entry.required<int>("ranks");
  if (fit.ranks < 2) entry.reject("ranks", fmt::format("expected at least 2, found {}", fit.ranks));
  fit.between_nodes = entry.get("between_nodes", false);
  fit.link = read_link(entry);
  fit.points = read_sizes(entry, "points");
  fit.spread = read_number(entry, "spread");
  return fit;
}

}  // namespace

Profile read_profile(const Options& file) {
  check_kind(file, "Profile");
  Profile profile;
  const Options machine = file.section("machine");
  for (const std::string& name : machine.keys()) profile.machine[name] = machine.raw(name);
  if (profile.machine.empty())
    file.reject("machine", "required, and not given: a profile says what machine it is of", "profile again; was the file cut short?");
  if (const auto found = file.find<std::string>("fingerprint"); found && *found != profile.fingerprint())
    file.reject("fingerprint",
                fmt::format("the section 'machine' has fingerprint {}, found {}", profile.fingerprint(), *found),
                "figures of one machine do not hold for another: profile again");
  if (file.has("copy_bandwidth")) profile.copy_bandwidth = read_rate(file, "copy_bandwidth", parse_bandwidth);
  for (auto [key, time] : {std::pair{"launch", &profile.launch}, {"adamw", &profile.adamw}, {"norm", &profile.norm}})
    if (file.has(key)) *time = read_measured(file, key);
  profile.slowdown = read_number(file, "slowdown");
  if (file.has("slowdown") && !(profile.slowdown >= 1 && profile.slowdown <= 2)) reject_slowdown(file, profile.slowdown);
  profile.spread = read_number(file, "spread");
  profile.unexplained = read_number(file, "unexplained");
  profile.copies = read_sizes(file, "copies");
  for (const Options& entry : file.list("links")) profile.links.push_back(read_link_fit(entry));
  for (const Options& entry : file.list("compute")) {
    const auto key = entry.required<std::string>("key");
    profile.compute[key] = read_measured(entry, "time");
    if (entry.has("spread")) profile.spreads[key] = read_number(entry, "spread");
  }
  file.finish();
  return profile;
}

}  // namespace trellis
