#include "plan/plugin/conformance/conformance.h"

#include <algorithm>

#include "plan/plugin/conformance/roles.h"
#include "trellis/plan/op.h"

namespace trellis::conformance {

bool Examination::rule(const std::string& sentence, const std::function<std::string()>& body) {
  Finding finding{sentence, {}};
  if (listener_) listener_(finding, false);
  try {
    finding.broken = body();
  } catch (const Error& error) {
    finding.broken = error.what();
  } catch (const std::exception& error) {
    finding.broken = fmt::format("it threw: {}", error.what());
  } catch (...) {
    finding.broken = "it threw something that is not a std::exception";
  }
  if (listener_) listener_(finding, true);
  findings_.push_back(finding);
  return finding.broken.empty();
}

bool Examination::passed() const {
  return std::all_of(findings_.begin(), findings_.end(), [](const Finding& finding) { return finding.broken.empty(); });
}

namespace {

// The core's ops, the plugin's, and those of the other plugins.
OpLibrary ops_of(const plugin::Enrolled& plugin, const Catalog& catalog, Examination& exam) {
  if (!plugin.ops.empty()) {
    exam.rule("its ops have kinds of their own", [&]() -> std::string {
      OpLibrary core;
      for (const auto& op : plugin.ops) core.add(op);
      return {};
    });
  }
  OpLibrary ops;
  catalog.load_ops(ops);
  for (const auto& op : plugin.ops) {
    const std::vector<std::string> known = ops.kinds();  // the catalog may have loaded this very plugin
    if (std::find(known.begin(), known.end(), op->kind()) == known.end()) ops.add(op);
  }
  return ops;
}

}  // namespace

void examine(const plugin::Enrolled& plugin, const Catalog& catalog, Examination& exam) {
  const auto type = plugin::type_of(plugin);
  exam.rule("it registers exactly one dimension, model family or search",
            [&] { return std::string(type ? "" : "it registers none or several"); });
  if (!type) return;
  if (*type == PluginType::search) return examine(*plugin.searches.front(), exam);
  const Dimensions dimensions = catalog.dimensions();
  const OpLibrary ops = ops_of(plugin, catalog, exam);
  if (*type == PluginType::parallelism) {
    const Parallelism& dimension = *plugin.parallelisms.front();
    examine(dimension, dimensions, ops, exam);
    exam.rule("every role that it splits is one of some layer", [&] {
      const auto known = known_roles(catalog);
      return known ? unknown_role(dimension, *known) : std::string();
    });
  } else {
    const ModelFamily& family = *plugin.families.front();
    examine(family, dimensions, ops, exam);
    if (exam.passed())
      for (std::string& note : unsplit_roles(family.describe(Options::empty()), dimensions)) exam.note(std::move(note));
  }
}

}  // namespace trellis::conformance
