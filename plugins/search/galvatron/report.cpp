#include "report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "json_file.h"

namespace trellis::galvatron {

std::string sequence_text(const std::vector<Layout>& layers) {
  std::vector<std::string> runs;
  for (std::size_t first = 0, end; first < layers.size(); first = end) {
    end = first + 1;
    while (end < layers.size() && layers[end] == layers[first]) ++end;
    runs.push_back(fmt::format("{} x {}", end - first, layers[first].text()));
  }
  return fmt::format("{}", fmt::join(runs, ", "));
}

Strategy strategy_of(const Layout& layout, bool megatron_sp) {
  Strategy strategy;
  const auto set = [&](const std::string& dimension, const std::string& option, const std::string& value) {
    strategy[dimension] = {dimension, {{option, value}}};
  };
  if (layout.tp > 1) set("tp", "degree", std::to_string(layout.tp));
  if (layout.tp > 1 && megatron_sp) set("megatron_sp", "", "on");
  if (layout.sp > 1) set("ulysses", "degree", std::to_string(layout.sp));
  if (layout.type != DpType::ddp) set("zero", "stage", layout.type == DpType::zero3 ? "3" : "2");
  if (layout.checkpoint) set("ckpt", "", "full");
  return strategy;
}

Plan to_plan(const Solution& solution, const Settings& s) {
  Plan plan{.batch = solution.task.batch,
            .micro_batches = static_cast<int>(solution.task.micro_batches),
            .devices = s.devices,
            .schedule = s.gpipe ? "gpipe" : "1f1b"};
  for (int line = s.devices / solution.task.stages; line > 1; line /= 2) plan.atoms.push_back(2);
  int next = 0;
  for (std::size_t stage = 0; stage < solution.division.size(); ++stage) {
    const bool is_last = stage + 1 == solution.division.size();
    const int count = solution.division[stage] + (stage == 0) + is_last;  // the embedding, the head
    plan.stages.push_back({next, next + count - 1});
    next += count;
  }
  const Strategy vocabulary = strategy_of(solution.vocabulary, s.sequence_parallel);
  plan.layers.push_back(vocabulary);
  for (const Layout& layout : solution.layers) plan.layers.push_back(strategy_of(layout, s.sequence_parallel));
  plan.layers.push_back(vocabulary);
  return plan;
}

std::string to_document(const Solution& solution, const Settings& s) {
  const auto list = [&](auto&& of) {
    std::vector<int> values;
    for (const Layout& layout : solution.layers) values.push_back(of(layout));
    return fmt::format("{}", fmt::join(values, ","));
  };
  Json json;
  json["pp_deg"] = solution.task.stages;
  json["tp_sizes_enc"] = list([](const Layout& l) { return l.degree(); });
  json["tp_consecutive_flags"] = list([](const Layout&) { return 1; });
  json["dp_types_enc"] = list([](const Layout& l) { return l.type == DpType::zero3 ? 1 : 0; });
  json["use_sp"] = list([](const Layout& l) { return l.sp > 1 ? 1 : 0; });
  json["checkpoint"] = list([](const Layout& l) { return l.checkpoint ? 1 : 0; });
  json["world_size"] = s.devices;
  json["global_bsz"] = solution.task.batch;
  json["chunks"] = solution.task.micro_batches;
  json["pp_division"] = fmt::format("{}", fmt::join(solution.division, ","));
  json["pipeline_type"] = s.gpipe ? "gpipe" : "pipedream_flush";
  json["default_dp_type"] = s.default_dp == DefaultDp::zero2 ? "zero2" : "ddp";
  json["vtp"] = solution.vocabulary.degree();
  json["vsp"] = solution.vocabulary.sp > 1 ? 1 : 0;
  json["embed_sdp"] = solution.vocabulary.type == DpType::zero3 ? 1 : 0;
  return json.dump(4) + "\n";
}

}  // namespace trellis::galvatron
