// What the settings of one layer mean: from YAML to a strategy, from a strategy to a placement.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include "plan/plugin/calls.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"

namespace trellis {
namespace {

struct Dimension {
  const Parallelism* plugin;
  Traits traits;
};

std::vector<Dimension> in_order(const Dimensions& dimensions) {
  std::vector<Dimension> result;
  for (const auto& plugin : dimensions) result.push_back({plugin.get(), plugin->traits()});
  std::sort(result.begin(), result.end(), [](const Dimension& a, const Dimension& b) {
    return std::tie(a.traits.order, a.traits.name) < std::tie(b.traits.order, b.traits.name);
  });
  return result;
}

const Dimension* find(const std::vector<Dimension>& dimensions, std::string_view name) {
  const auto found = std::find_if(dimensions.begin(), dimensions.end(),
                                  [&](const Dimension& dimension) { return dimension.traits.name == name; });
  return found == dimensions.end() ? nullptr : &*found;
}

std::vector<std::string> names_of_layer_dimensions(const std::vector<Dimension>& dimensions) {
  std::vector<std::string> names;
  for (const auto& [plugin, traits] : dimensions)
    if (traits.scope == Scope::layer && !traits.implied) names.push_back(traits.name);
  return names;
}

// Why a layer may not name this dimension; empty where it may.
std::string not_of_a_layer(const Traits& traits) {
  if (traits.scope == Scope::model) return "a choice for the whole plan, not for a layer";
  if (traits.implied) return "not a choice: it takes the devices that the others leave";
  return {};
}

std::string expected_range(const std::pair<int, int>& range) {
  if (range.second == std::numeric_limits<int>::max()) return fmt::format("at least {}", range.first);
  return fmt::format("{} to {}", range.first, range.second);
}

// --- reading ---

Setting read_mapping(const Options& options, const Traits& traits) {
  const Options section = options.section(traits.name).with_owner(fmt::format("parallelism '{}'", traits.name));
  Setting setting{traits.name, {}};
  for (const std::string& option : traits.options) {
    if (!section.has(option)) continue;
    const auto range = traits.ranges.find(option);
    if (range == traits.ranges.end()) {
      setting.values[option] = section.raw(option);
      continue;
    }
    const auto value = section.required<std::int64_t>(option);
    if (value < range->second.first || value > range->second.second)
      section.reject(option, fmt::format("expected {}, found {}", expected_range(range->second), value));
    setting.values[option] = std::to_string(value);
  }
  section.finish();
  if (!setting.on())
    options.reject(traits.name, fmt::format("nothing is set; expected {}", fmt::join(traits.options, ", ")),
                   fmt::format("write '{}: off' to leave it off", traits.name));
  return setting;
}

// The value of the first option: what was written where it is a number, else a number of the range.
std::string example(const Traits& traits, const std::string& written) {
  const auto range = traits.ranges.find(traits.options.front());
  const bool is_number = !written.empty() && written.find_first_not_of("0123456789") == std::string::npos;
  if (range == traits.ranges.end() || is_number) return written;
  return std::to_string(std::min(std::max(2, range->second.first), range->second.second));
}

Setting read_scalar(const Options& options, const Traits& traits) {
  const std::string value = options.raw(traits.name);
  if (value == "off") return {traits.name, {}};
  if (std::find(traits.scalars.begin(), traits.scalars.end(), value) != traits.scalars.end())
    return {traits.name, {{"", value}}};
  if (traits.scalars.empty())
    options.reject(traits.name, fmt::format("expected a mapping or off, found '{}'", value),
                   fmt::format("write '{}: {{{}: {}}}'", traits.name, traits.options.front(), example(traits, value)));
  std::vector<std::string> known = traits.scalars;
  known.push_back("off");
  options.reject(traits.name, fmt::format("expected {}, found '{}'", fmt::join(known, " or "), value));
}

Setting read_setting(const Options& options, const Traits& traits) {
  if (!options.is_map(traits.name)) return read_scalar(options, traits);
  if (!traits.options.empty()) return read_mapping(options, traits);
  options.reject(traits.name, fmt::format("expected {} or off, found a mapping", fmt::join(traits.scalars, " or ")));
}

// --- placing ---

// "ulysses degree 8", "ckpt full", "megatron_sp"
std::string in_words(const Setting& setting) {
  std::string words = setting.dimension;
  for (const auto& [option, value] : setting.values) {
    if (!option.empty()) words += fmt::format(" {} {}", option, value);
    else if (value != "on") words += " " + value;
  }
  return words;
}

std::string why_not_together(const Strategy& strategy, const std::vector<Dimension>& dimensions) {
  const auto is_on = [&](const std::string& name) {
    const auto found = strategy.find(name);
    return found != strategy.end() && found->second.on();
  };
  for (const auto& [name, setting] : strategy) {
    if (!setting.on()) continue;
    const Dimension* dimension = find(dimensions, name);
    if (!dimension)
      return fmt::format("no parallelism dimension named '{}': {}", name,
                         suggestion_hint(name, names_of_layer_dimensions(dimensions), "known"));
    if (const std::string reason = not_of_a_layer(dimension->traits); !reason.empty())
      return fmt::format("{} is {}", name, reason);
    for (const std::string& other : dimension->traits.excludes)
      if (is_on(other)) return fmt::format("{} and {} exclude each other", name, other);
    for (const std::string& other : dimension->traits.requires_)
      if (!is_on(other)) return fmt::format("{} needs {}, which is off", name, other);
    for (const auto& [option, range] : dimension->traits.ranges) {
      const std::int64_t value = setting.integer(option, range.first);
      if (value < range.first || value > range.second)
        return fmt::format("{}: expected {}", in_words(setting), expected_range(range));
    }
  }
  return {};
}

// Off is what a layer can always have: without it a search would take a dimension's defect for a lack of memory.
std::vector<Setting> settings_of(const Dimension& dimension, const LayerSpec& layer, const SpaceContext& space) {
  const std::string& name = dimension.traits.name;
  std::vector<Setting> settings =
      plugin::call(PluginType::parallelism, name, [&] { return dimension.plugin->settings(layer, space); });
  if (std::none_of(settings.begin(), settings.end(), [](const Setting& s) { return !s.on(); }))
    throw Error(ExitCode::plugin, fmt::format("dimension '{}' offers no setting 'off' for layer '{}'", name, layer.type),
                plugin::defect_hint(name));
  return settings;
}

Placed place_in_order(const Strategy& strategy, const LayerSpec& layer, const DeviceLine& line,
                      const std::vector<Dimension>& dimensions) {
  if (std::string reason = why_not_together(strategy, dimensions); !reason.empty())
    return {std::nullopt, std::move(reason)};
  Placement placement(line);
  for (const auto& [plugin, traits] : dimensions) {
    if (traits.scope == Scope::model) continue;
    const auto found = strategy.find(traits.name);
    const Setting setting = found == strategy.end() ? Setting{traits.name, {}} : found->second;
    if (!setting.on() && !traits.implied) continue;
    const Verdict verdict = plugin::call(PluginType::parallelism, traits.name,
                                         [&, apply = plugin] { return apply->apply(setting, layer, placement); });
    if (!verdict)
      return {std::nullopt, fmt::format("{} does not fit: {}", in_words(setting), *verdict.reason)};
  }
  return {std::move(placement), {}};
}

}  // namespace

std::string to_string(const Strategy& strategy) {
  // Settings with a number first: "tp 2, zero 2, ckpt full".
  std::vector<std::string> numbers, words;
  for (const auto& [name, setting] : strategy)
    if (setting.on()) (setting.values.contains("") ? words : numbers).push_back(setting.label());
  numbers.insert(numbers.end(), words.begin(), words.end());
  return numbers.empty() ? "-" : fmt::format("{}", fmt::join(numbers, ", "));
}

Strategy read_strategy(const Options& options, const Dimensions& dimensions, const std::vector<std::string>& ignore) {
  const std::vector<Dimension> known = in_order(dimensions);
  Strategy strategy;
  for (const std::string& key : options.keys()) {
    if (std::find(ignore.begin(), ignore.end(), key) != ignore.end()) continue;
    const Dimension* dimension = find(known, key);
    if (!dimension) {
      std::vector<std::string> names = names_of_layer_dimensions(known);
      const std::string hint = suggestion_hint(key, names, "known");
      names.insert(names.end(), ignore.begin(), ignore.end());
      const std::string near = suggest(key, names);
      options.reject(key, fmt::format("no parallelism dimension named '{}'", key),
                     near.empty() ? hint + "   of a plugin elsewhere: --plugins FOLDER; trellis plugins list tells the folders"
                                  : fmt::format("did you mean '{}'?", near));
    }
    if (const std::string reason = not_of_a_layer(dimension->traits); !reason.empty()) options.reject(key, reason);
    Setting setting = read_setting(options, dimension->traits);
    if (setting.on()) strategy.emplace(key, std::move(setting));
  }
  return strategy;
}

Placed place(const Strategy& strategy, const LayerSpec& layer, const DeviceLine& line, const Dimensions& dimensions) {
  return place_in_order(strategy, layer, line, in_order(dimensions));
}

std::vector<Candidate> candidates(const LayerSpec& layer, const SpaceContext& space, const Dimensions& dimensions) {
  return candidates(layer, space, dimensions, [](const Strategy&) { return true; });
}

std::vector<Candidate> candidates(const LayerSpec& layer, const SpaceContext& space, const Dimensions& dimensions,
                                  const std::function<bool(const Strategy&)>& keep) {
  const std::vector<Dimension> known = in_order(dimensions);
  std::vector<std::vector<Setting>> choices;
  for (const Dimension& dimension : known)
    if (dimension.traits.scope == Scope::layer && !dimension.traits.implied)
      choices.push_back(settings_of(dimension, layer, space));

  // The first dimension changes slowest, and off comes first: the simplest strategy of a placement wins.
  std::vector<Strategy> strategies{{}};
  for (const std::vector<Setting>& settings : choices) {
    std::vector<Strategy> longer;
    for (const Strategy& strategy : strategies) {
      for (const Setting& setting : settings) {
        longer.push_back(strategy);
        if (setting.on()) longer.back().emplace(setting.dimension, setting);
      }
    }
    strategies = std::move(longer);
  }

  std::vector<Candidate> result;
  std::set<std::string> seen;
  for (Strategy& strategy : strategies) {
    if (!keep(strategy)) continue;
    Placed placed = place_in_order(strategy, layer, space.line, known);
    if (placed.placement && seen.insert(placed.placement->key()).second)
      result.push_back({std::move(strategy), std::move(*placed.placement)});
  }
  return result;
}

}  // namespace trellis
