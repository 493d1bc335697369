#include "trellis/plan/parallelism.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

using Dims = std::vector<DimId>;

// Dims of a role as they stand together in tensors: {g, r} for a query. A tensor with some dims of another one (a key:
// {g}) says nothing of its own; what its dims do not take, it holds as copies.
std::vector<Dims> groups_of_role(const LayerSpec& layer, std::string_view role) {
  std::vector<Dims> groups;
  const auto add = [&](const Dims& tensor) {
    Dims group;
    for (const DimId id : tensor)
      if (layer.dims[static_cast<std::size_t>(id)].role == role) group.push_back(id);
    std::sort(group.begin(), group.end());
    if (!group.empty() && std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  };
  for (const Value& value : layer.values) add(value.dims);
  for (const Parameter& parameter : layer.parameters) add(parameter.dims);
  for (const Op& op : layer.ops)
    for (const Dims& dims : op.input_dims) add(dims);

  const auto is_part_of_another = [&](const Dims& group) {
    return std::any_of(groups.begin(), groups.end(), [&](const Dims& other) {
      return other.size() > group.size() && std::all_of(group.begin(), group.end(), [&](DimId id) {
               return std::find(other.begin(), other.end(), id) != other.end();
             });
    });
  };
  std::vector<Dims> whole;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(whole), std::not_fn(is_part_of_another));
  return whole;
}

// Whether the dims, one after the other, take all atoms.
bool divides(const LayerSpec& layer, const Dims& group, const AxisList& axes, const DeviceLine& line) {
  auto atom = axes.begin();
  for (const DimId id : group) {
    std::int64_t size = layer.dims[static_cast<std::size_t>(id)].size;
    for (; atom != axes.end(); ++atom) {
      const int ways = line.atoms[static_cast<std::size_t>(*atom)];
      if (size % ways != 0) break;
      size /= ways;
    }
  }
  return atom == axes.end();
}

std::string noun(std::string_view role) {
  if (role == kFfn) return "ffn features";
  if (role == kVocab) return "vocabulary entries";
  return std::string(role);
}

}  // namespace

// --- a setting ---

std::int64_t Setting::integer(std::string_view option, std::int64_t otherwise) const {
  const auto found = values.find(std::string(option));
  if (found == values.end()) return otherwise;
  const std::string& text = found->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    fail("{}.{}: expected a whole number, found '{}'", dimension, option, text);
  return value;
}

std::string Setting::text(std::string_view option, std::string_view otherwise) const {
  const auto found = values.find(std::string(option));
  return std::string(found == values.end() ? otherwise : std::string_view(found->second));
}

std::string Setting::label() const {
  std::string label = dimension;
  if (!on()) return label + " off";
  for (const auto& [option, value] : values)
    if (!(option.empty() && value == "on")) label += " " + value;
  return label;
}

// --- a dimension ---

Parallelism::~Parallelism() = default;

const void* Parallelism::extension(std::string_view) const { return nullptr; }

std::vector<int> inner_degrees(const DeviceLine& line) {
  std::vector<int> degrees;
  int product = 1;
  for (auto atom = line.atoms.rbegin(); atom != line.atoms.rend(); ++atom) degrees.push_back(product *= *atom);
  return degrees;
}

std::optional<std::string> indivisible(const LayerSpec& layer, const std::vector<std::string_view>& roles,
                                       const AxisList& axes, const DeviceLine& line) {
  for (const std::string_view role : roles) {
    AxisList order = axes;
    if (role == kBatch) std::sort(order.begin(), order.end());
    else std::sort(order.begin(), order.end(), std::greater<>());
    for (const Dims& group : groups_of_role(layer, role)) {
      if (divides(layer, group, order, line)) continue;
      std::vector<std::int64_t> sizes;
      for (const DimId id : group) sizes.push_back(layer.dims[static_cast<std::size_t>(id)].size);
      const std::int64_t size = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
      const int degree = line.degree(axes);
      if (size % degree != 0) return fmt::format("{} {} do not divide by {}", size, noun(role), degree);
      std::vector<int> ways;
      for (const Atom atom : order) ways.push_back(line.atoms[static_cast<std::size_t>(atom)]);
      return fmt::format("{} {} do not divide by {}, one after the other", fmt::join(sizes, " x "), noun(role),
                         fmt::join(ways, " x "));
    }
  }
  return std::nullopt;
}

std::string unclaimable(const Placement& placement, int degree) {
  const std::vector<int>& atoms = placement.line().atoms;
  if (atoms.empty()) return fmt::format("degree {} is more than the one device of the stage", degree);
  return fmt::format("degree {} is not a product of the innermost devices of {}", degree, fmt::join(atoms, " x "));
}

}  // namespace trellis
