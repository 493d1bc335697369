// The rules of a parallelism dimension.
#include <algorithm>
#include <numeric>
#include <set>

#include "plan/base/words.h"
#include "plan/plugin/conformance/conformance.h"
#include "plan/plugin/conformance/samples.h"
#include "plan/plugin/conformance/schedules.h"
#include "trellis/plan/program.h"

namespace trellis::conformance {
namespace {

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string where(const LayerSpec& layer, const DeviceLine& line) {
  return fmt::format("layer '{}' on {}", layer.type, number_of(line.size(), "device"));
}

bool same(const Traits& a, const Traits& b) {
  return a.name == b.name && a.scope == b.scope && a.order == b.order && a.options == b.options &&
         a.ranges == b.ranges && a.scalars == b.scalars && a.excludes == b.excludes && a.requires_ == b.requires_ &&
         a.implied == b.implied;
}

std::string contradiction(const Traits& traits) {
  if (traits.name.empty()) return "it has no name";
  if (traits.scope == Scope::layer && !traits.implied && traits.options.empty() && traits.scalars.empty())
    return "it has neither options nor scalars, so no plan can turn it on";
  for (const auto& [option, range] : traits.ranges) {
    if (!contains(traits.options, option)) return fmt::format("a range is given for '{}', which is no option", option);
    if (range.first > range.second) return fmt::format("the range of '{}' is empty", option);
  }
  for (const std::string& other : traits.requires_) {
    if (other == traits.name) return "it requires itself";
    if (contains(traits.excludes, other)) return fmt::format("it requires and excludes '{}'", other);
  }
  if (contains(traits.excludes, traits.name)) return "it excludes itself";
  if (contains(traits.scalars, "off")) return "'off' is among its scalars; off is what needs no word";
  return {};
}

class ParallelismRules {
 public:
  ParallelismRules(const Parallelism& plugin, const Dimensions& others, const OpLibrary& ops)
      : plugin_(plugin), traits_(plugin.traits()), ops_(ops) {
    // The caller owns the plugin, and keeps it longer than this.
    dimensions_.emplace_back(std::shared_ptr<void>(), &plugin_);
    for (const auto& other : others)
      if (other->traits().name != traits_.name) dimensions_.push_back(other);
  }

  std::string settings_are_offered_right() const {
    return for_each_place([&](const LayerSpec& layer, const DeviceLine& line) -> std::string {
      const std::vector<Setting> settings = plugin_.settings(layer, {line, 0});
      if (settings.empty()) return "no setting is offered; off always is one";
      if (settings.front().on()) return fmt::format("the first setting is '{}'", settings.front().label());
      for (const Setting& setting : settings)
        if (setting.dimension != traits_.name) return fmt::format("a setting is of dimension '{}'", setting.dimension);
      if (std::set<Setting>(settings.begin(), settings.end()).size() != settings.size()) return "a setting comes twice";
      if (settings != plugin_.settings(layer, {line, 0})) return "asked twice, it offers different settings";
      return {};
    });
  }

  std::string settings_are_readable() const {
    if (traits_.implied || traits_.scope == Scope::model) return {};
    return for_each_setting([&](const Setting& setting, const LayerSpec&, const DeviceLine&) -> std::string {
      std::string text = traits_.name + ": ";
      if (const auto scalar = setting.values.find(""); scalar != setting.values.end()) text += scalar->second;
      else if (!setting.on()) text += "off";
      else {
        std::vector<std::string> words;
        for (const auto& [option, value] : setting.values) words.push_back(option + ": " + value);
        text += fmt::format("{{{}}}", fmt::join(words, ", "));
      }
      const Strategy read = read_strategy(Options::from_text(text, "plan"), dimensions_);
      const auto found = read.find(traits_.name);
      const Setting back = found == read.end() ? Setting{traits_.name, {}} : found->second;
      return back == setting ? "" : fmt::format("'{}' is read back as '{}'", text, back.label());
    });
  }

  std::string off_changes_nothing() const {
    if (traits_.implied) return {};
    return for_each_place([&](const LayerSpec& layer, const DeviceLine& line) -> std::string {
      Placement placement(line);
      if (const Verdict verdict = plugin_.apply({traits_.name, {}}, layer, placement); !verdict)
        return "off is rejected: " + *verdict.reason;
      return placement == Placement(line) ? "" : "off leaves " + placement.key();
    });
  }

  // Also where the setting was not offered: a plan written by hand may ask for it.
  std::string apply_is_pure_and_gives_reasons() const {
    const std::set<Setting> all = all_settings();
    return for_each_place([&](const LayerSpec& layer, const DeviceLine& line) -> std::string {
      for (const Setting& setting : all) {
        Placement once(line), twice(line);
        const Verdict verdict = plugin_.apply(setting, layer, once), again = plugin_.apply(setting, layer, twice);
        if (verdict.reason != again.reason) return fmt::format("'{}': two answers", setting.label());
        if (verdict && once != twice) return fmt::format("'{}': two placements", setting.label());
        if (verdict.reason && verdict.reason->empty())
          return fmt::format("'{}' is rejected without a reason", setting.label());
      }
      return {};
    });
  }

  std::string offered_settings_are_accepted() const {
    if (traits_.scope == Scope::model) return {};
    return for_each_setting([&](const Setting& setting, const LayerSpec& layer, const DeviceLine& line) -> std::string {
      if (!traits_.requires_.empty()) return {};  // alone it is nothing; the combinations are tried below
      Placement placement(line);
      const Verdict verdict = plugin_.apply(setting, layer, placement);
      return verdict ? "" : fmt::format("'{}' is offered, and then rejected: {}", setting.label(), *verdict.reason);
    });
  }

  std::string every_combination_derives() {
    if (traits_.scope == Scope::model) return {};
    bool was_on = traits_.implied;
    const std::string broken =
        for_each_layer([&](const std::shared_ptr<const LayerSpec>& layer, const DeviceLine& line) {
          for (const Candidate& candidate : candidates(*layer, {line, 0}, dimensions_)) {
            was_on |= candidate.strategy.contains(traits_.name);
            if (const std::string problem = derivation_problem(layer, candidate.placement); !problem.empty())
              return fmt::format("strategy '{}': {}", to_string(candidate.strategy), problem);
          }
          return std::string();
        });
    if (!broken.empty() || was_on) return broken;
    return "it is on in no placement of any sample layer, on up to 6 devices";
  }

 private:
  std::string derivation_problem(const std::shared_ptr<const LayerSpec>& layer, const Placement& placement) const {
    DeriveContext context;
    context.micro_batch = 2 * placement.multiple(kBatch);
    context.sequence_multiple = placement.multiple(kSequence);
    context.ops = &ops_;
    try {
      const LayerProgram program = derive(layer, placement, context);
      return program.forward.empty() ? "its forward program is empty" : "";
    } catch (const Error& error) {
      return error.message();
    }
  }

  std::set<Setting> all_settings() const {
    std::set<Setting> result;
    for (const auto& layer : sample_layers())
      for (const DeviceLine& line : sample_lines())
        for (Setting& setting : plugin_.settings(*layer, {line, 0})) result.insert(std::move(setting));
    return result;
  }

  // The first answer that is not empty, with the place in front.
  template <class Visit>
  std::string for_each_layer(const Visit& visit) const {
    for (const auto& layer : sample_layers())
      for (const DeviceLine& line : sample_lines())
        if (const std::string broken = visit(layer, line); !broken.empty())
          return fmt::format("{}: {}", where(*layer, line), broken);
    return {};
  }

  template <class Visit>
  std::string for_each_place(const Visit& visit) const {
    return for_each_layer([&](const auto& layer, const DeviceLine& line) { return visit(*layer, line); });
  }

  template <class Visit>
  std::string for_each_setting(const Visit& visit) const {
    return for_each_place([&](const LayerSpec& layer, const DeviceLine& line) {
      for (const Setting& setting : plugin_.settings(layer, {line, 0}))
        if (std::string broken = visit(setting, layer, line); !broken.empty()) return broken;
      return std::string();
    });
  }

  const Parallelism& plugin_;
  Traits traits_;
  Dimensions dimensions_;
  const OpLibrary& ops_;
};

}  // namespace

void examine(const Parallelism& plugin, const Dimensions& others, const OpLibrary& ops, Examination& exam) {
  const bool sane = exam.rule("its traits do not contradict themselves, and are always the same", [&] {
    return same(plugin.traits(), plugin.traits()) ? contradiction(plugin.traits()) : "asked twice, they differ";
  });
  if (!sane) return;
  ParallelismRules rules(plugin, others, ops);
  exam.rule("its settings are its own, differ, and begin with off", [&] { return rules.settings_are_offered_right(); });
  exam.rule("a plan can name every setting", [&] { return rules.settings_are_readable(); });
  exam.rule("off changes nothing", [&] { return rules.off_changes_nothing(); });
  exam.rule("apply depends on its arguments only, and rejects with a reason",
            [&] { return rules.apply_is_pure_and_gives_reasons(); });
  exam.rule("what it offers, it accepts", [&] { return rules.offered_settings_are_accepted(); });
  exam.rule("every placement with the other dimensions derives", [&] { return rules.every_combination_derives(); });
  if (const void* power = plugin.extension(kPipelineSchedule))
    examine_schedules(*static_cast<const PipelineSchedule*>(power), exam);
}

}  // namespace trellis::conformance
