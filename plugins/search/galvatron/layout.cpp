#include "layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

bool allowed(const Layout& layout, const Settings& s, bool is_vocabulary) {
  const auto off = [&](const char* name) { return s.disabled.contains(name); };
  if (off("pp") && layout.pp > 1) return false;
  if (off("tp") && layout.tp > 1) return false;
  if (off("sp") && layout.sp > 1) return false;
  if (off("dp") && layout.dp > 1) return false;
  if (off("zero3") && layout.type == DpType::zero3) return false;
  if (!is_vocabulary) return !(off("ckpt") && layout.checkpoint);
  return !(off("vocab_tp") && layout.tp > 1) && !(off("vocab_sp") && layout.sp > 1);
}

// Defect of the reference: ZeRO is offered by the data parallel degree alone, so pure Ulysses has none, although its
// devices could share the states. And a device is never left out: degrees are powers of two.
std::vector<DpType> types_of(int dp, const Settings& s) {
  if (dp == 1) return {DpType::ddp};
  return {s.default_dp == DefaultDp::zero2 ? DpType::zero2 : DpType::ddp, DpType::zero3};
}

void sort_and_dedupe(std::vector<Layout>& layouts) {
  std::sort(layouts.begin(), layouts.end());
  layouts.erase(std::unique(layouts.begin(), layouts.end()), layouts.end());
}

}  // namespace

std::string Layout::text() const {
  return fmt::format("{}-{}{}-{}{}{}{}", pp, degree(), degree() > 1 ? "*" : "", dp, type == DpType::zero3 ? "f" : "",
                     checkpoint ? "-c" : "", sp > 1 ? "-sp" : "");
}

const char* name_of(TpSp mode) {
  return mode == TpSp::tp_only ? "tp_only" : mode == TpSp::sp_only ? "sp_only" : "tp_with_sp";
}

Space make_space(const Settings& s) {
  Space space;
  const auto add = [&](Layout layout) {
    if (allowed(layout, s, false)) space.layers.push_back(layout);
    layout.checkpoint = false;
    if (allowed(layout, s, true)) space.vocabulary.push_back(layout);
  };
  for (int pp = 1; pp <= std::min({s.devices, s.layers, s.max_pp}); pp *= 2)
    for (int degree = 1; degree * pp <= s.devices; degree *= 2)
      for (const bool ulysses : {false, true}) {
        if (degree > (ulysses ? s.max_sp : s.max_tp)) continue;
        const int dp = s.devices / pp / degree;
        for (const DpType type : types_of(dp, s))
          for (const bool checkpoint : {false, true})
            add({pp, ulysses ? 1 : degree, ulysses ? degree : 1, dp, type, checkpoint});
      }
  sort_and_dedupe(space.layers);
  sort_and_dedupe(space.vocabulary);
  if (!s.sequence_parallel &&
      std::any_of(space.vocabulary.begin(), space.vocabulary.end(), [](const Layout& layout) { return layout.tp > 1; }))
    throw Error(ExitCode::unsupported, "the reference has no costs of vocabulary tp without sequence_parallel",
                "set sequence_parallel: on, or disable: [vocab_tp]");
  return space;
}

std::vector<Task> make_tasks(const Settings& s, const Space& space) {
  std::vector<int> stage_counts;
  for (const Layout& layout : space.vocabulary) stage_counts.push_back(layout.pp);
  std::sort(stage_counts.begin(), stage_counts.end());
  stage_counts.erase(std::unique(stage_counts.begin(), stage_counts.end()), stage_counts.end());

  std::vector<Task> tasks;
  for (const std::int64_t batch : s.batches) {
    std::vector<std::int64_t> counts = s.micro_batches;
    if (counts.empty())
      for (std::int64_t count = 1; count <= batch; ++count) counts.push_back(count);
    for (const std::int64_t micro_batches : counts) {
      if (micro_batches > batch || batch % micro_batches != 0) continue;
      for (const int stages : stage_counts) {
        if (stages > micro_batches || stages > s.layers) continue;
        const int line = s.devices / stages;
        const int widest = std::min(line, s.max_tp);  // defect of the reference: max_tp bounds Ulysses, too
        const int dp = static_cast<int>(std::clamp<std::int64_t>(batch / micro_batches, 1, line));
        tasks.reserve(tasks.size() + 16);
        const auto every_degree = [&](TpSp mode) {
          for (int degree = 1; degree <= widest; degree *= 2)
            if (degree >= line / dp) tasks.push_back({batch, micro_batches, stages, mode, degree});
        };
        every_degree(TpSp::tp_only);
        tasks.push_back({batch, micro_batches, stages, TpSp::sp_only, widest});
        every_degree(TpSp::tp_with_sp);
      }
    }
  }
  return tasks;
}

Space restrict(const Space& space, const Task& task, const Settings& s) {
  const std::int64_t most_dp =
      std::max<std::int64_t>(1, std::min<std::int64_t>(task.batch / task.micro_batches, s.devices / task.stages));
  const auto keep = [&](const Layout& layout) {
    return layout.pp == task.stages && layout.degree() <= task.widest && layout.dp <= most_dp &&
           (task.mode != TpSp::tp_only || layout.sp == 1) && (task.mode != TpSp::sp_only || layout.tp == 1);
  };
  Space result;
  std::copy_if(space.layers.begin(), space.layers.end(), std::back_inserter(result.layers), keep);
  std::copy_if(space.vocabulary.begin(), space.vocabulary.end(), std::back_inserter(result.vocabulary), keep);
  return result;
}

std::vector<int> divide_evenly(int layers, int stages) {
  std::vector<int> division(static_cast<std::size_t>(stages), layers / stages);
  division.back() += layers % stages;
  return division;
}

}  // namespace trellis::galvatron
