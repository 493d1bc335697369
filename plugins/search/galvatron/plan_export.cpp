#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "json_file.h"
#include "plan_format.h"
#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

std::int64_t value(const Strategy& strategy, const std::string& dimension, const std::string& option,
                   std::int64_t off) {
  const auto found = strategy.find(dimension);
  return found == strategy.end() ? off : found->second.integer(option, off);
}

bool is_on(const Strategy& strategy, const std::string& dimension) {
  const auto found = strategy.find(dimension);
  return found != strategy.end() && found->second.on();
}

class Export {
 public:
  explicit Export(const Plan& plan)
      : plan_(plan), line_(plan.devices / std::max<int>(1, static_cast<int>(plan.stages.size()))) {}

  PlanFormat::Exported run() {
    if (plan_.layers.size() < 3)
      fail("a plan of {} layers has no layers between embedding and head", plan_.layers.size());
    choose_default();
    Json json;
    json["pp_deg"] = plan_.stages.size();
    write_layers(json);
    json["world_size"] = plan_.devices;
    json["global_bsz"] = plan_.batch;
    json["chunks"] = plan_.micro_batches;
    write_stages(json);
    if (plan_.schedule != "1f1b" && plan_.schedule != "gpipe")
      lose(fmt::format("schedule '{}': there are gpipe and pipedream_flush (1f1b) only; the latter is written",
                       plan_.schedule));
    json["pipeline_type"] = plan_.schedule == "gpipe" ? "gpipe" : "pipedream_flush";
    json["default_dp_type"] = default_;
    write_vocabulary(json);
    check_sequence_parallelism();
    return {json.dump(4) + "\n", std::move(lost_)};
  }

 private:
  void lose(std::string line) { lost_.push_back(std::move(line)); }

  int degree(const Strategy& s) const {
    return static_cast<int>(std::max(value(s, "tp", "degree", 1), value(s, "ulysses", "degree", 1)));
  }
  // Devices among which ZeRO could share something.
  bool is_shared(const Strategy& s) const { return line_ > value(s, "tp", "degree", 1); }

  // The reference has one kind of data parallelism besides ZeRO-3 for the whole plan: what most layers have. ZeRO-1 is
  // nearer to its zero2, which shares the optimizer's states, too, than to ddp, which may not fit.
  void choose_default() {
    int zero2 = 0, plain = 0;
    for (const Strategy& s : plan_.layers) {
      const std::int64_t stage = value(s, "zero", "stage", 0);
      if (!is_shared(s) || line_ / degree(s) == 1 || stage == 3) continue;
      if (stage > 0) ++zero2;
      else ++plain;
    }
    default_ = plain > zero2 ? "ddp" : "zero2";
  }

  bool is_zero3(const Strategy& s) const { return is_shared(s) && value(s, "zero", "stage", 0) == 3; }

  void check_zero(const std::string& which, const Strategy& s) {
    const std::int64_t stage = value(s, "zero", "stage", 0);
    if (!is_shared(s) || stage == 3) return;
    if (line_ / degree(s) == 1) {
      if (stage > 0) lose(fmt::format("{}: zero {} of Ulysses alone; there it is without", which, stage));
      return;
    }
    const std::int64_t there = default_ == "zero2" ? 2 : 0;
    if (stage != there) lose(fmt::format("{}: zero {} becomes {}, the plan's only other kind", which, stage, default_));
  }

  void check_dimensions(const std::string& which, const Strategy& s) {
    static const std::set<std::string> known = {"tp", "megatron_sp", "ulysses", "zero", "ckpt"};
    for (const auto& [name, setting] : s)
      if (setting.on() && !known.contains(name)) lose(fmt::format("{}: {} is not known there", which, setting.label()));
    const int d = degree(s);
    if (d < 1 || line_ % d != 0) fail("{}: degree {} does not divide the {} devices of a stage", which, d, line_);
    if ((d & (d - 1)) != 0)
      lose(fmt::format("{}: degree {} is no power of two, which the reference's groups need", which, d));
    check_zero(which, s);
  }

  void write_layers(Json& json) {
    std::vector<int> degrees, zero3, ulysses, checkpoint, ones;
    for (std::size_t i = 1; i + 1 < plan_.layers.size(); ++i) {
      const Strategy& s = plan_.layers[i];
      check_dimensions(fmt::format("layer {}", i), s);
      degrees.push_back(degree(s));
      zero3.push_back(is_zero3(s));
      ulysses.push_back(value(s, "ulysses", "degree", 1) > 1);
      checkpoint.push_back(is_on(s, "ckpt"));
      ones.push_back(1);
    }
    json["tp_sizes_enc"] = fmt::format("{}", fmt::join(degrees, ","));
    json["tp_consecutive_flags"] = fmt::format("{}", fmt::join(ones, ","));
    json["dp_types_enc"] = fmt::format("{}", fmt::join(zero3, ","));
    json["use_sp"] = fmt::format("{}", fmt::join(ulysses, ","));
    json["checkpoint"] = fmt::format("{}", fmt::join(checkpoint, ","));
    json["cp_sizes_enc"] = fmt::format("{}", fmt::join(ones, ","));
  }

  void write_stages(Json& json) {
    std::vector<int> division;
    const int last = static_cast<int>(plan_.layers.size()) - 1;
    for (const StageRange& stage : plan_.stages) {
      division.push_back(std::min(stage.last, last - 1) - std::max(stage.first, 1) + 1);
      if (division.back() < 1)
        lose(fmt::format("stage {}: it has no layer but embedding or head, and the reference's stages need one",
                         division.size() - 1));
      division.back() = std::max(division.back(), 0);
    }
    json["pp_division"] = fmt::format("{}", fmt::join(division, ","));
  }

  void write_vocabulary(Json& json) {
    const Strategy &embedding = plan_.layers.front(), &head = plan_.layers.back();
    if (embedding != head)
      lose(fmt::format("the embedding has '{}', the head '{}': there both are one, the head's is written",
                       to_string(embedding), to_string(head)));
    check_dimensions("head", head);
    if (is_on(embedding, "ckpt") || is_on(head, "ckpt")) lose("embedding or head: ckpt is for the layers between only");
    json["vtp"] = degree(head);
    json["vsp"] = value(head, "ulysses", "degree", 1) > 1 ? 1 : 0;
    json["vcp"] = 1;
    json["embed_sdp"] = is_zero3(head) ? 1 : 0;
  }

  // A switch of the whole run there.
  void check_sequence_parallelism() {
    int with = 0, without = 0;
    for (const Strategy& s : plan_.layers)
      if (value(s, "tp", "degree", 1) > 1) ++(is_on(s, "megatron_sp") ? with : without);
    if (with > 0 && without > 0)
      lose(fmt::format("megatron_sp: on in {} layers with tp and off in {}; there it is on or off in the whole run",
                       with, without));
    else if (with > 0) lose("megatron_sp: not part of the file; run it with sequence parallelism on");
    else if (without > 0) lose("no megatron_sp: not part of the file; run it with sequence parallelism off");
  }

  const Plan& plan_;
  int line_;
  std::string default_;
  std::vector<std::string> lost_;
};

}  // namespace

PlanFormat::Exported GalvatronFormat::write(const Plan& plan) const { return Export(plan).run(); }

}  // namespace trellis::galvatron
