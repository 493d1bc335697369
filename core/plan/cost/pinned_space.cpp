#include "plan/cost/pinned_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

// Of the choice. Where there is one stage there is no pipeline whose order could be right or wrong.
bool plan_accepts(const Pin& pin, const GlobalChoice& choice, bool without_pipeline) {
  if (pin.stages.says_something() && !pin.stages.accepts(std::int64_t{choice.stages})) return false;
  if (!pin.schedule.says_something()) return true;
  return choice.stages == 1 ? without_pipeline : pin.schedule.accepts(choice.schedule);
}

bool settings_accept(const Pin& pin, const Strategy& strategy) {
  return std::ranges::all_of(pin.settings, [&](const SettingTest& test) { return test.accepts(strategy); });
}

}  // namespace

PinnedSpace::PinnedSpace(const ModelSpec& model, const Dimensions& dimensions, int devices_in_node, Pins pins)
    : dimensions_(dimensions), devices_in_node_(devices_in_node), pins_(std::move(pins)) {
  for (int i = 0; i < static_cast<int>(model.layers.size()); ++i) {
    Kind kind{.spec = model.layers[static_cast<std::size_t>(i)].get()};
    for (const Pin& pin : pins_.fix)
      if (pin.covers(i) && !pin.settings.empty()) kind.fix.push_back(&pin);
    for (const Pin& pin : pins_.forbid)
      if (pin.covers(i) && !pin.settings.empty()) kind.forbid.push_back(&pin);
    const auto known = std::ranges::find(kinds_, kind);
    kind_of_.push_back(static_cast<int>(known - kinds_.begin()));
    if (known == kinds_.end()) kinds_.push_back(std::move(kind)), first_of_kind_.push_back(i);
  }
}

const std::vector<Candidate>& PinnedSpace::candidates(int layer, const GlobalChoice& choice) {
  const int index = kind_of_.at(static_cast<std::size_t>(layer));
  const Kind& kind = kinds_[static_cast<std::size_t>(index)];
  PinList forbidden;
  for (const Pin* pin : kind.forbid)
    if (plan_accepts(*pin, choice, false)) forbidden.push_back(pin);
  const std::lock_guard lock(mutex_);
  const auto [entry, fresh] = known_.try_emplace(Key{index, choice.atoms, std::move(forbidden)});
  if (fresh) {
    const PinList& active = std::get<2>(entry->first);
    entry->second = trellis::candidates(
        *kind.spec, {.line = {choice.atoms}, .devices_in_node = devices_in_node_}, dimensions_,
        [&](const Strategy& strategy) {
          const auto accepts = [&](const Pin* pin) { return settings_accept(*pin, strategy); };
          return std::ranges::all_of(kind.fix, accepts) && std::ranges::none_of(active, accepts);
        });
  }
  return entry->second;
}

bool PinnedSpace::allows(const GlobalChoice& choice) const {
  return std::ranges::all_of(pins_.fix, [&](const Pin& pin) { return plan_accepts(pin, choice, true); }) &&
         std::ranges::none_of(pins_.forbid,
                              [&](const Pin& pin) { return pin.settings.empty() && plan_accepts(pin, choice, false); });
}

std::optional<int> PinnedSpace::layer_without_candidate(const GlobalChoice& choice) {
  for (const int layer : first_of_kind_)
    if (candidates(layer, choice).empty()) return layer;
  return std::nullopt;
}

// --- what to say where nothing is left ---

namespace {

struct AnyPin {
  const Pin* pin;
  bool is_fix;
};

class Diagnosis {
 public:
  Diagnosis(const ModelSpec& model, const Dimensions& dimensions, int devices_in_node,
            const std::vector<GlobalChoice>& choices)
      : model_(model), dimensions_(dimensions), devices_in_node_(devices_in_node) {
    // Batches do not matter to pins.
    std::set<std::tuple<int, std::vector<int>, std::string>> seen;
    for (const GlobalChoice& c : choices)
      if (seen.insert({c.stages, c.atoms, c.schedule}).second) choices_.push_back(c);
  }

  // How these pins leave nothing; nothing where they leave something.
  struct Failure {
    std::optional<int> layer;  // without a candidate; else no choice is allowed
  };
  std::optional<Failure> failure(const std::vector<AnyPin>& some) const {
    Pins pins;
    for (const auto& [pin, is_fix] : some) (is_fix ? pins.fix : pins.forbid).push_back(*pin);
    PinnedSpace space(model_, dimensions_, devices_in_node_, std::move(pins));
    Failure failure;
    for (const GlobalChoice& choice : choices_) {
      if (!space.allows(choice)) continue;
      const auto layer = space.layer_without_candidate(choice);
      if (!layer) return std::nullopt;
      if (!failure.layer) failure.layer = layer;
    }
    return failure;
  }

  // "layer 0 (embedding) can have tp off, 2, 4"
  std::string offered(const Failure& failure, const std::vector<AnyPin>& pins) const {
    if (!failure.layer) {
      std::set<int> stages;
      std::set<std::string> schedules;
      for (const GlobalChoice& c : choices_) stages.insert(c.stages), schedules.insert(c.schedule);
      return fmt::format("stages to choose from: {}; schedules: {}", fmt::join(stages, ", "),
                         fmt::join(schedules, ", "));
    }
    std::vector<std::string> parts;
    const LayerSpec& layer = *model_.layers[static_cast<std::size_t>(*failure.layer)];
    for (const auto& dimension : dimensions_) {
      const std::string name = dimension->traits().name;
      const auto is_of_it = [&](const SettingTest& test) { return test.dimension == name; };
      if (std::ranges::none_of(pins, [&](const AnyPin& p) { return std::ranges::any_of(p.pin->settings, is_of_it); }))
        continue;
      std::vector<std::string> labels;
      for (const GlobalChoice& c : choices_)
        for (const Setting& s : dimension->settings(layer, {.line = {c.atoms}, .devices_in_node = devices_in_node_}))
          if (const std::string label = s.label(); std::ranges::count(labels, label) == 0) labels.push_back(label);
      parts.push_back(fmt::format("{}", fmt::join(labels, ", ")));
    }
    return fmt::format("{} can have: {}", in_words(*failure.layer), fmt::join(parts, "; "));
  }

  // Which two settings of these pins no layer can have together, and why: "'tp 8' and 'ulysses 2' exclude each other:
  // ..."; empty where no two alone are to blame.
  std::string exclusion(const Failure& failure, const std::vector<AnyPin>& pins) const {
    if (!failure.layer) return {};
    std::vector<const SettingTest*> tests;
    for (const auto& [pin, is_fix] : pins)
      for (const SettingTest& test : pin->settings)
        if (is_fix && pin->covers(*failure.layer)) tests.push_back(&test);
    for (std::size_t a = 0; a < tests.size(); ++a)
      for (std::size_t b = a + 1; b < tests.size(); ++b)
        if (const std::string text = exclusion(*failure.layer, *tests[a], *tests[b]); !text.empty()) return text;
    return {};
  }

  std::string in_words(int layer) const {
    return fmt::format("layer {} ({})", layer, model_.layers[static_cast<std::size_t>(layer)]->type);
  }

 private:
  // What a test accepts of its dimension.
  std::vector<Setting> accepted(const LayerSpec& layer, const SettingTest& test, const GlobalChoice& choice) const {
    std::vector<Setting> all = {Setting{.dimension = test.dimension, .values = {}}};  // off
    for (const auto& dimension : dimensions_)
      if (dimension->traits().name == test.dimension)
        for (Setting& s : dimension->settings(layer, {.line = {choice.atoms}, .devices_in_node = devices_in_node_}))
          all.push_back(std::move(s));
    std::erase_if(all, [&](const Setting& s) { return !test.accepts({{test.dimension, s}}); });
    return all;
  }

  // Empty where some setting of one goes with some of the other, or one has none that is possible.
  std::string exclusion(int layer, const SettingTest& a, const SettingTest& b) const {
    const LayerSpec& spec = *model_.layers[static_cast<std::size_t>(layer)];
    if (a.dimension == b.dimension) return {};
    std::string first;
    for (const GlobalChoice& c : choices_)
      for (const Setting& one : accepted(spec, a, c)) {
        for (const Setting& other : accepted(spec, b, c)) {
          const Placed both = place({{a.dimension, one}, {b.dimension, other}}, spec, {c.atoms}, dimensions_);
          if (both.placement) return {};
          if (first.empty())
            first = fmt::format("'{}' and '{}' exclude each other: {}", one.label(), other.label(), both.reason);
        }
      }
    return first;
  }

  const ModelSpec& model_;
  const Dimensions& dimensions_;
  int devices_in_node_;
  std::vector<GlobalChoice> choices_;
};

}  // namespace

void report_contradiction(const ModelSpec& model, const Dimensions& dimensions, int devices_in_node,
                          const std::vector<GlobalChoice>& choices, const Pins& pins) {
  const Diagnosis diagnosis(model, dimensions, devices_in_node, choices);
  std::vector<AnyPin> all;
  for (const Pin& pin : pins.fix) all.push_back({&pin, true});
  for (const Pin& pin : pins.forbid) all.push_back({&pin, false});
  // The two that exclude each other are more than what each could have by itself.
  const auto hint = [&](const Diagnosis::Failure& failure, const std::vector<AnyPin>& pins) {
    const std::string exclusion = diagnosis.exclusion(failure, pins);
    return exclusion.empty() ? diagnosis.offered(failure, pins) : exclusion;
  };
  const auto left = [&](const Diagnosis::Failure& failure) {
    return failure.layer ? fmt::format("{} has no candidate left", diagnosis.in_words(*failure.layer))
                         : std::string("no number of stages or schedule is left");
  };
  for (const AnyPin& one : all)
    if (const auto failure = diagnosis.failure({one}))
      throw Error(ExitCode::bad_input, fmt::format("{}: {}", one.pin->path, left(*failure)),
                  hint(*failure, {one}), one.pin->mark);
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = a + 1; b < all.size(); ++b)
      if (const auto failure = diagnosis.failure({all[a], all[b]}))
        throw Error(ExitCode::bad_input,
                    fmt::format("{} contradicts {}: {}", all[a].pin->path, all[b].pin->place(), left(*failure)),
                    hint(*failure, {all[a], all[b]}), all[a].pin->mark);
  std::vector<std::string> places;
  for (const AnyPin& any : all) places.push_back(any.pin->place());
  const auto failure = diagnosis.failure(all).value_or(Diagnosis::Failure{});
  throw Error(ExitCode::bad_input, fmt::format("{} cannot be met together: {}", fmt::join(places, ", "), left(failure)),
              hint(failure, all), all.front().pin->mark);
}

}  // namespace trellis
