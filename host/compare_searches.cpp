#include "host/compare_searches.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/interruption.h"
#include "host/table.h"

namespace trellis::host {
namespace {

// The highest that any of them has proven: they solve one problem.
std::optional<double> bound_of(const std::vector<Compared>& all) {
  std::optional<double> bound;
  for (const Compared& one : all)
    if (one.found.log.lower_bound && (!bound || *one.found.log.lower_bound > *bound)) bound = one.found.log.lower_bound;
  return bound;
}

std::optional<double> gap_of(const Compared& one, std::optional<double> bound) {
  if (!one.found.plan || !bound || *bound <= 0) return std::nullopt;
  return std::max(0.0, one.found.reached / *bound - 1);  // but for rounding
}

std::string gap_text(std::optional<double> gap) {
  if (!gap) return "-";
  return *gap > 0 && *gap < 5e-5 ? fmt::format("{:.1g} %", 100 * *gap) : fmt::format("{:.2f} %", 100 * *gap);
}

}  // namespace

std::vector<Compared> compare_searches(const Planning& p, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::ranges::count(names, name) > 1)
      throw Error(ExitCode::usage, fmt::format("--compare: '{}' is named twice", name));
    if (load_search(p, name)->extension(kStandaloneSearch))
      throw Error(ExitCode::usage, fmt::format("--compare: '{}' brings its own model and costs", name),
                  "compare searches that solve the problem of the run file");
  }
  std::vector<Compared> all;
  for (const std::string& name : names) {
    Compared one{.search = name, .found = {}, .refused = {}};
    if (Interruption::came() && !all.empty()) {
      one.refused = "not begun: stopped";
      all.push_back(std::move(one));
      continue;
    }
    try {
      one.found = run_search(p, oracle_of(p), name);  // of its own: each takes the time that it takes alone
    } catch (const Error& error) {
      if (error.code() != ExitCode::unsupported) throw;
      one.refused = error.message();
    }
    all.push_back(std::move(one));
  }
  return all;
}

Found best_of(const std::vector<Compared>& all) {
  const Found* best = &all.front().found;
  for (const auto& [search, found, refused] : all)
    if (found.plan && (!best->plan || score(*found.plan, found.cost) < score(*best->plan, best->cost))) best = &found;
  return *best;
}

void print(const std::vector<Compared>& all) {
  std::vector<std::vector<std::string>> rows = {
      {"search", "step", "batch", "samples/s", "memory", "gap", "seconds", "status"}};
  const std::optional<double> bound = bound_of(all);
  for (const Compared& one : all) {
    const auto& [search, found, refused] = one;
    if (!refused.empty()) {
      rows.push_back({search, "-", "-", "-", "-", "-", "-", refused});
    } else if (!found.plan) {
      rows.push_back({search, "-", "-", "-", "-", "-", fmt::format("{:.2f}", found.seconds), "no plan fits"});
    } else {
      rows.push_back({search, format(found.cost.step), fmt::format("{}", found.plan->batch),
                      fmt::format("{:.4g}", found.cost.samples_per_second),
                      format(*std::ranges::max_element(found.cost.memory)), gap_text(gap_of(one, bound)),
                      fmt::format("{:.2f}", found.seconds), found.log.status});
    }
  }
  print_table(rows);
}

nlohmann::json to_json(const Planning& p, const std::vector<Compared>& all, const Compared& one) {
  nlohmann::json json = to_json(p, one.found, {});
  for (const char* of_the_whole : {"plan", "budget_bytes", "estimated", "objective"}) json.erase(of_the_whole);
  json["search"] = one.search;
  const std::optional<double> gap = gap_of(one, bound_of(all));
  json["gap"] = gap ? nlohmann::json(*gap) : nlohmann::json();
  if (!one.refused.empty()) json["status"] = "refused: " + one.refused;
  return json;
}

}  // namespace trellis::host
