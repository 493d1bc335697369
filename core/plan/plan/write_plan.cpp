#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "trellis/plan/plan_file.h"

namespace trellis {
namespace {

// A YAML scalar of a flow mapping, quoted where plain text could mean something else.
std::string scalar(std::string_view text) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+- ";
  const bool is_plain = !text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos &&
                        text.front() != ' ' && text.front() != '-' && text.back() != ' ' && text != "null" &&
                        text != "Null" && text != "NULL";
  if (is_plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') quoted += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20) quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else quoted += c;
  }
  return quoted + '"';
}

// Six digits in the largest unit that leaves a whole part: a prediction is not more precise.
struct Unit {
  std::int64_t size;
  std::string_view name;
};
std::string rounded(std::int64_t value, std::initializer_list<Unit> descending) {
  for (const Unit& unit : descending)
    if (value >= unit.size)
      return fmt::format("{:.6g}{}", static_cast<double>(value) / static_cast<double>(unit.size), unit.name);
  return "0";
}
std::string rounded(Picoseconds time) {
  if (time >= 100'000_s) return exact(time);
  return rounded(time.value,
                 {{(1_s).value, "s"}, {(1_ms).value, "ms"}, {(1_us).value, "us"}, {(1_ns).value, "ns"}, {1, "ps"}});
}
std::string rounded(Bytes bytes) {
  if (bytes >= 100'000_GiB) return exact(bytes);
  return rounded(bytes.value, {{(1_GiB).value, "GiB"}, {(1_MiB).value, "MiB"}, {(1_KiB).value, "KiB"}, {1, "B"}});
}

std::string in_yaml(const Setting& setting) {
  if (const auto word = setting.values.find(""); word != setting.values.end())
    return fmt::format("{}: {}", setting.dimension, scalar(word->second));
  std::vector<std::string> options;
  for (const auto& [option, value] : setting.values) options.push_back(fmt::format("{}: {}", option, scalar(value)));
  return fmt::format("{}: {{{}}}", setting.dimension, fmt::join(options, ", "));
}

std::string made_by_line(const Plan& plan) {
  if (plan.made_by.empty()) return {};
  std::vector<std::string> facts;
  for (const auto& [key, value] : plan.made_by) facts.push_back(fmt::format("{}: {}", scalar(key), scalar(value)));
  return fmt::format("made_by:   {{{}}}\n", fmt::join(facts, ", "));
}

std::string predicted_line(const Plan& plan) {
  if (!plan.predicted) return {};
  std::vector<std::string> memory;
  for (const Bytes bytes : plan.predicted->memory) memory.push_back(rounded(bytes));
  return fmt::format("predicted: {{step: {}, memory: [{}], throughput: {:.6g} samples/s}}\n",
                     rounded(plan.predicted->step), fmt::join(memory, ", "), plan.predicted->samples_per_second);
}

std::string layers_lines(const Plan& plan) {
  std::string lines = "layers:\n";
  for (std::size_t first = 0, next = 0; first < plan.layers.size(); first = next) {
    next = first + 1;
    while (next < plan.layers.size() && plan.layers[next] == plan.layers[first]) ++next;
    lines += "  - {layers: " + format(Range{first, next - 1});
    for (const auto& [name, setting] : plan.layers[first])
      if (setting.on()) lines += ", " + in_yaml(setting);
    lines += "}\n";
  }
  return lines;
}

}  // namespace

std::string to_yaml(const Plan& plan) {
  std::vector<std::string> stages;
  for (const StageRange& stage : plan.stages) stages.push_back(format(Range{stage.first, stage.last}));
  std::string text = "apiVersion: trellis/v1\nkind: Plan\n" + made_by_line(plan) + predicted_line(plan);
  text += fmt::format("global:    {{batch: {}, micro_batches: {}, devices: {}, atoms: [{}]}}\n", plan.batch,
                      plan.micro_batches, plan.devices, fmt::join(plan.atoms, ", "));
  text += fmt::format("pipeline:  {{schedule: {}, stages: [{}]}}\n", scalar(plan.schedule), fmt::join(stages, ", "));
  return text + layers_lines(plan);
}

}  // namespace trellis
