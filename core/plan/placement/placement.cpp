#include "trellis/plan/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <tuple>

#include "plan/placement/key_of_compute.h"
#include "trellis/plan/error.h"
#include "trellis/plan/model.h"

namespace trellis {
namespace {

std::string_view name_of(Life life) {
  switch (life) {
    case Life::compute:
      return "compute";
    case Life::storage:
      return "storage";
    case Life::gradient:
      return "gradient";
    case Life::optimizer:
      return "optimizer";
  }
  return "unknown";
}

std::string key_of_lives(const Placement& placement) {
  std::string key;
  if (placement.line().size() > 1)  // one device has nothing to split a life over
    for (const Life life : {Life::compute, Life::storage, Life::gradient, Life::optimizer})
      if (placement.splits(life)) key.append("; split ").append(name_of(life));
  return key;
}

void append(std::string& text, const std::vector<int>& numbers, char between) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) text += between;
    const fmt::format_int number(numbers[i]);
    text.append(number.data(), number.size());
  }
}

void append(std::string& text, const Regions& regions) {
  if (regions == Regions::all()) return;
  text += regions.contains("") ? "@!" : "@";
  for (const std::string& name : regions.names())
    text.append(&name == &*regions.names().begin() ? "" : ",").append(name);
}

void sort_once_each(AxisList& atoms) {
  std::ranges::sort(atoms);
  atoms.erase(std::unique(atoms.begin(), atoms.end()), atoms.end());
}

}  // namespace

// --- regions ---

Regions Regions::all() { return {}; }

Regions Regions::inside(std::string_view region) {
  Regions result;
  result.outside_ = false;
  result.names_.emplace(region);
  return result;
}

Regions Regions::outside(std::string_view region) {
  Regions result;
  result.names_.emplace(region);
  return result;
}

bool Regions::contains(std::string_view region) const { return names_.contains(region) != outside_; }

// --- axes ---

std::optional<AxisList> Placement::claim(std::string_view name, int degree) {
  if (claimed_.contains(name)) fail(ExitCode::plugin, "parallelism '{}' claims devices twice for one layer", name);
  std::set<Atom> taken;
  for (const auto& [owner, axes] : claimed_) taken.insert(axes.begin(), axes.end());

  AxisList axes;
  int product = 1;
  for (Atom atom = static_cast<Atom>(line_.atoms.size()) - 1; atom >= 0 && product < degree; --atom) {
    if (taken.contains(atom)) continue;
    product *= line_.atoms[static_cast<std::size_t>(atom)];
    axes.push_back(atom);
  }
  if (product != degree) return std::nullopt;
  return claimed_.emplace(name, std::move(axes)).first->second;
}

AxisList Placement::claim_rest(std::string_view name) {
  if (claimed_.contains(name)) fail(ExitCode::plugin, "parallelism '{}' claims devices twice for one layer", name);
  AxisList axes(line_.atoms.size());
  std::iota(axes.rbegin(), axes.rend(), 0);
  for (const auto& [owner, taken] : claimed_)
    for (const Atom atom : taken) std::erase(axes, atom);
  return claimed_.emplace(name, std::move(axes)).first->second;
}

AxisList Placement::axis(std::string_view name) const {
  const auto found = claimed_.find(name);
  return found == claimed_.end() ? AxisList{} : found->second;
}

// --- what is declared ---

void Placement::split(std::string_view role, const AxisList& axes, const Regions& regions) {
  if (!axes.empty()) splits_.push_back({std::string(role), axes, regions});
}

void Placement::split_state(Life life) { state_.insert(life); }

void Placement::substitute(std::string_view kind, std::string_view by) {
  substitutes_.insert_or_assign(std::string(kind), std::string(by));
}

AxisList Placement::axes(std::string_view role, std::string_view region) const {
  AxisList atoms;
  for (const Split& split : splits_)
    if (split.role == role && split.regions.contains(region))
      atoms.insert(atoms.end(), split.axes.begin(), split.axes.end());
  sort_once_each(atoms);
  if (role != kBatch) std::ranges::reverse(atoms);
  return atoms;
}

std::set<std::string> Placement::split_roles() const {
  std::set<std::string> roles;
  for (const Split& split : splits_) roles.insert(split.role);
  return roles;
}

std::int64_t Placement::multiple(std::string_view role) const {
  const auto degree = [&](std::string_view region) {
    return static_cast<std::int64_t>(line_.degree(axes(role, region)));
  };
  std::int64_t result = degree("");  // stands for every region that no split names
  for (const Split& split : splits_)
    if (split.role == role)
      for (const std::string& region : split.regions.names()) result = std::lcm(result, degree(region));
  return result;
}

std::string_view Placement::contract_for(std::string_view kind) const {
  const auto found = substitutes_.find(kind);
  return found == substitutes_.end() ? kind : std::string_view(found->second);
}

std::string Placement::key() const {
  // Who claimed an axis, and in which order splits were declared, does not change what they mean.
  std::vector<const Split*> splits;
  splits.reserve(splits_.size());
  for (const Split& split : splits_) splits.push_back(&split);
  const auto dims = [](const Split* split) { return std::tie(split->role, split->regions); };
  std::ranges::sort(splits, {}, dims);

  std::string key = "line ";
  key.reserve(160);
  append(key, line_.atoms, 'x');
  AxisList atoms;
  for (auto split = splits.begin(); split != splits.end();) {
    key.append("; ").append((*split)->role);
    append(key, (*split)->regions);
    atoms.clear();
    const auto same = dims(*split);
    for (; split != splits.end() && dims(*split) == same; ++split)
      atoms.insert(atoms.end(), (*split)->axes.begin(), (*split)->axes.end());
    sort_once_each(atoms);
    key += " on ";
    append(key, atoms, ',');
  }
  if (retain_ == Retain::boundary) key += "; retain boundary";
  for (const auto& [kind, by] : substitutes_) key.append("; ").append(kind).append(" by ").append(by);
  return key + key_of_lives(*this);
}

std::string key_of_compute(const Placement& placement) {
  std::string key = placement.key();
  key.resize(key.size() - key_of_lives(placement).size());
  return key;
}

}  // namespace trellis
