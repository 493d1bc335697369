#include "host/utilization.h"

#include <fmt/format.h>

#include "trellis/plan/cost.h"

namespace trellis::host {

Utilization utilization_of(const Planning& p, double samples_per_second) {
  constexpr std::int64_t kSamples = 1;
  const Flops flops = model_flops(p.model, kSamples, p.run.train.dtype, *p.ops);
  Utilization u{.tokens_per_second = samples_per_second * static_cast<double>(p.model.sequence),
                .flops_per_second = static_cast<double>(flops.value) * samples_per_second / p.devices,
                .of_peak = {}};
  const auto peak = p.cluster.flops.find(std::string(name_of(p.run.train.dtype)));
  // What stands for a machine that nobody described is no peak to be measured by.
  if (p.run.profile.has("cluster") && peak != p.cluster.flops.end()) u.of_peak = u.flops_per_second / peak->second;
  return u;
}

std::string to_string(const Utilization& u) {
  const Flops rate{static_cast<std::int64_t>(u.flops_per_second)};
  std::string text = u.tokens_per_second > 0 ? fmt::format("{:.0f} tokens/s, ", u.tokens_per_second) : "";
  text += fmt::format("{}/s a device", format(rate));
  if (u.of_peak) text += fmt::format(", {:.1f} % of its peak (MFU)", 100 * *u.of_peak);
  return text;
}

void add_utilization(nlohmann::json& json, const std::optional<Utilization>& u) {
  json["tokens_per_second"] =
      u && u->tokens_per_second > 0 ? nlohmann::json(u->tokens_per_second) : nlohmann::json();
  json["flops_per_device"] = u ? nlohmann::json(u->flops_per_second) : nlohmann::json();
  json["mfu"] = u && u->of_peak ? nlohmann::json(*u->of_peak) : nlohmann::json();
}

}  // namespace trellis::host
