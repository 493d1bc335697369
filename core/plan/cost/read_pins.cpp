// search.fix and search.forbid, read strictly.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "trellis/plan/pins.h"
#include "trellis/plan/schedule.h"

namespace trellis {
namespace {

const std::vector<std::string> kBounds = {"at_least", "at_most", "above", "below"};

bool is_bound(const std::string& word) { return std::ranges::count(kBounds, word) > 0; }

// {at_least: 2, below: 8}
ValueTest read_bounds(const Options& options) {
  ValueTest test;
  for (const std::string& key : options.keys()) {
    if (!is_bound(key)) options.reject(key, "unknown bound of a whole number", suggestion_hint(key, kBounds, "known"));
    const auto value = options.required<int>(key);
    const auto tighten = [](std::optional<std::int64_t>& bound, std::int64_t by, bool upper) {
      bound = !bound ? by : upper ? std::min(*bound, by) : std::max(*bound, by);
    };
    if (key == "at_least" || key == "above") tighten(test.at_least, std::int64_t{value} + (key == "above"), false);
    else tighten(test.at_most, std::int64_t{value} - (key == "below"), true);
  }
  if (!test.says_something()) options.reject({}, fmt::format("nothing is said; expected {}", fmt::join(kBounds, ", ")));
  if (test.at_least && test.at_most && *test.at_least > *test.at_most)
    options.reject({}, "no number is within these bounds");
  return test;
}

// 2, [2, 4] or bounds.
ValueTest read_number(const Options& options, const std::string& key, const std::pair<int, int>& range) {
  if (options.is_map(key)) return read_bounds(options.section(key));
  ValueTest test;
  for (const int value : options.get(key, std::vector<int>{})) {
    if (value < range.first || value > range.second)
      options.reject(key, range.second == std::numeric_limits<int>::max()
                              ? fmt::format("expected at least {}, found {}", range.first, value)
                              : fmt::format("expected {} to {}, found {}", range.first, range.second, value));
    test.among.push_back(std::to_string(value));
  }
  if (test.among.empty()) options.reject(key, "an empty list: nothing would be right");
  return test;
}

ValueTest read_words(const Options& options, const std::string& key) {
  ValueTest test{.among = options.get(key, std::vector<std::string>{})};
  if (test.among.empty()) options.reject(key, "an empty list: nothing would be right");
  return test;
}

// Reads conditions "DIMENSION: ..." into a pin.
class ConditionReader {
 public:
  ConditionReader(const Dimensions& dimensions, const ModelSpec& model) : dimensions_(dimensions), model_(model) {
    for (const auto& dimension : dimensions)
      if (const Traits traits = dimension->traits(); !traits.implied) names_.push_back(traits.name);
  }

  const std::vector<std::string>& names() const { return names_; }
  bool knows(const std::string& name) const { return plugin(name) != nullptr; }

  // `more`: words that could have been meant instead of a dimension.
  void read(const Options& options, const std::string& name, Pin& pin, const std::vector<std::string>& more) const {
    const Parallelism* found = plugin(name);
    if (!found) {
      std::vector<std::string> known = names_;
      known.insert(known.end(), more.begin(), more.end());
      options.reject(name, fmt::format("no parallelism dimension named '{}'", name),
                     suggestion_hint(name, known, "known"));
    }
    const Traits traits = found->traits();
    if (traits.implied) options.reject(name, "not a choice: it takes the devices that the others leave");
    const SettingTest test = read_setting(options, traits);
    if (traits.scope == Scope::layer) pin.settings.push_back(test);
    else add_to_plan(options, *found, test, pin);
  }

  // "0-3", "0-3,7", "block" (the layers of a type) or "all"; of a key, or written at it.
  std::vector<StageRange> read_layers(const Options& options, std::string_view key, const std::string& text) const {
    if (text == "all") return {{0, static_cast<int>(model_.layers.size()) - 1}};
    if (const std::vector<StageRange> typed = of_type(text); !typed.empty()) return typed;
    std::vector<Range> ranges;
    try {
      ranges = parse_ranges(text);
    } catch (const Error& error) {
      options.reject(key, error.message(), fmt::format("or a type of layers: {}", fmt::join(types(), ", ")));
    }
    std::vector<StageRange> result;
    for (const Range& range : ranges) {
      if (range.second >= static_cast<std::int64_t>(model_.layers.size()))
        options.reject(key, fmt::format("there is no layer {}", range.second),
                       fmt::format("the model has layers {}",
                                   format(Range{0, static_cast<std::int64_t>(model_.layers.size()) - 1})));
      result.push_back({static_cast<int>(range.first), static_cast<int>(range.second)});
    }
    return result;
  }

  bool names_layers(const std::string& key) const {
    return key == "all" || (!key.empty() && std::isdigit(static_cast<unsigned char>(key.front()))) ||
           !of_type(key).empty();
  }

  std::vector<std::string> types() const {
    std::vector<std::string> result;
    for (const auto& layer : model_.layers)
      if (std::ranges::count(result, layer->type) == 0) result.push_back(layer->type);
    return result;
  }

 private:
  const Parallelism* plugin(const std::string& name) const {
    for (const auto& dimension : dimensions_)
      if (dimension->traits().name == name) return dimension.get();
    return nullptr;
  }

  std::vector<StageRange> of_type(const std::string& type) const {
    std::vector<StageRange> result;
    for (int i = 0; i < static_cast<int>(model_.layers.size()); ++i) {
      if (model_.layers[static_cast<std::size_t>(i)]->type != type) continue;
      if (!result.empty() && result.back().last == i - 1) result.back().last = i;
      else result.push_back({i, i});
    }
    return result;
  }

  static SettingTest read_setting(const Options& options, const Traits& traits) {
    SettingTest test{.dimension = traits.name};
    for (const auto& [option, range] : traits.ranges) test.when_off[option] = range.first;
    if (options.is_map(traits.name)) read_mapping(options.section(traits.name), traits, test);
    else read_scalar(options, traits, test);
    return test;
  }

  static void read_mapping(const Options& section, const Traits& traits, SettingTest& test) {
    const std::vector<std::string> keys = section.keys();
    // {above: 4} of a dimension with one whole number: its degree, its stage.
    if (traits.ranges.size() == 1 && !keys.empty() && std::ranges::all_of(keys, is_bound)) {
      test.values[traits.ranges.begin()->first] = read_bounds(section);
      return;
    }
    for (const std::string& key : keys) {
      if (std::ranges::count(traits.options, key) == 0) {
        std::vector<std::string> known = traits.options;
        if (traits.ranges.size() == 1) known.insert(known.end(), kBounds.begin(), kBounds.end());
        section.reject(key, fmt::format("unknown option of parallelism '{}'", traits.name),
                       suggestion_hint(key, known, "known"));
      }
      const auto range = traits.ranges.find(key);
      test.values[key] =
          range == traits.ranges.end() ? read_words(section, key) : read_number(section, key, range->second);
    }
    if (test.values.empty())
      section.reject({}, fmt::format("nothing is said; expected {}", fmt::join(traits.options, ", ")),
                     "write on or off for any setting or none");
  }

  static void read_scalar(const Options& options, const Traits& traits, SettingTest& test) {
    const std::string value = options.raw(traits.name);
    if (value == "on" || value == "off") {
      test.on = value == "on";
      return;
    }
    std::vector<std::string> known = {"on", "off"};
    for (const std::string& scalar : traits.scalars)
      if (scalar != "on") known.push_back(scalar);
    if (std::ranges::count(known, value) == 0)
      options.reject(traits.name, fmt::format("expected {}, found '{}'", fmt::join(known, " or "), value),
                     traits.options.empty()
                         ? suggestion_hint(value, known, "known")
                         : fmt::format("write {}: {{{}: {}}}", traits.name, traits.options.front(), value));
    test.values[""] = {.among = {value}};
  }

  // Of pp: its degree is the number of stages.
  void add_to_plan(const Options& options, const Parallelism& plugin, const SettingTest& test, Pin& pin) const {
    const void* extension = plugin.extension(kPipelineSchedule);
    if (!extension) options.reject(test.dimension, "a choice for the whole plan that a search does not vary");
    if (!pin.layers.empty())
      options.reject(test.dimension, "holds for the whole plan, not for some of its layers",
                     "write it in an entry without layers");
    if (test.on && *test.on) pin.stages.at_least = 2;
    if (test.on && !*test.on) pin.stages.at_most = 1;
    for (const auto& [option, value] : test.values) {
      if (option == "degree") pin.stages = value;
      else if (option == "schedule") pin.schedule = value;
      else options.reject(test.dimension, fmt::format("a search does not vary its option '{}'", option));
    }
    const std::vector<std::string> known = static_cast<const PipelineSchedule*>(extension)->names();
    for (const std::string& name : pin.schedule.among)
      if (std::ranges::count(known, name) == 0)
        options.reject(test.dimension, fmt::format("no pipeline schedule named '{}'", name),
                       suggestion_hint(name, known, "known"));
  }

  const Dimensions& dimensions_;
  const ModelSpec& model_;
  std::vector<std::string> names_;
};

// {layers: 0-3, tp: {degree: 2}, ckpt: full}
Pin read_entry(const Options& entry, const std::vector<StageRange>& layers, bool may_name_layers,
               const ConditionReader& reader) {
  Pin pin{.layers = layers, .path = entry.path(), .mark = entry.mark()};
  if (may_name_layers && entry.has("layers"))
    for (const std::string& text : entry.get("layers", std::vector<std::string>{}))
      for (const StageRange& range : reader.read_layers(entry, "layers", text)) pin.layers.push_back(range);
  for (const std::string& key : entry.keys())
    if (key != "layers" || !may_name_layers)
      reader.read(entry, key, pin, may_name_layers ? std::vector<std::string>{"layers"} : std::vector<std::string>{});
  if (pin.settings.empty() && !pin.is_of_plan())
    entry.reject({}, "names no dimension", fmt::format("known: {}", fmt::join(reader.names(), ", ")));
  return pin;
}

std::vector<Pin> read_list(const Options& search, const std::string& key, const ConditionReader& reader) {
  if (!search.has(key)) return {};
  std::vector<Pin> pins;
  const bool by_key = search.is_map(key) && !search.section(key).has("layers");
  if (!by_key) {
    for (const Options& entry : search.list(key, "on")) pins.push_back(read_entry(entry, {}, true, reader));
    return pins;
  }
  const Options section = search.section(key);
  std::vector<std::string> other_words = reader.types();
  other_words.push_back("all");
  for (const std::string& name : section.keys()) {
    if (!reader.knows(name) && reader.names_layers(name)) {
      const std::vector<StageRange> layers = reader.read_layers(section, name, name);
      const std::vector<Options> entries = section.list(name, "on");
      if (entries.empty())
        section.reject(name, fmt::format("nothing is said of {}", name),
                       "inside braces a comma ends a key: write \"0,3\": {...} in quotes");
      for (const Options& entry : entries) pins.push_back(read_entry(entry, layers, false, reader));
      continue;
    }
    Pin pin{.path = section.path(name), .mark = section.mark(name)};
    reader.read(section, name, pin, other_words);
    pins.push_back(std::move(pin));
  }
  return pins;
}

}  // namespace

Pins read_pins(const Options& search, const Dimensions& dimensions, const ModelSpec& model) {
  const ConditionReader reader(dimensions, model);
  return {read_list(search, "fix", reader), read_list(search, "forbid", reader)};
}

}  // namespace trellis
