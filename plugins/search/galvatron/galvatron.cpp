// The search of Hetu-Galvatron (its main branch) on its own profile files: the same answers, for the same reasons, with
// the same defects, each named where it is reproduced (docs/galvatron.md lists them). And, on request, the best plan by
// the very formula that it ranks plans with.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "plan_format.h"
#include "report.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace galvatron {
namespace {

std::string number(double value) { return fmt::format("{:.0f}", value); }

std::string list(const std::vector<double>& values) {
  std::vector<std::string> texts;
  for (const double value : values) texts.push_back(number(std::floor(value)));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::vector<double> without_held_back(std::vector<double> used, const Settings& s) {
  for (double& megabytes : used) megabytes -= static_cast<double>(budget_of(s).held_back);
  return used;
}

// What a device is said to compute of a micro-batch where samples do not divide; empty where they do. The reference
// rounds down, so the rest is free.
std::string rounding(const Solution& found) {
  const std::int64_t samples = found.task.batch / found.task.micro_batches;
  std::vector<Layout> layouts = found.layers;
  layouts.push_back(found.vocabulary);
  int worst = 1;
  for (const Layout& layout : layouts)
    if (samples % layout.dp > samples % worst) worst = layout.dp;
  if (samples % worst == 0) return {};
  return fmt::format("{} samples of a micro-batch among {} devices count as {}: {} of them cost nothing, and the throughput is too high by that",
                     samples, worst, samples / worst * worst, samples % worst);
}

void tell(const Solution& found, const Settings& s, StandaloneAnswer& answer) {
  const auto& [task, vocabulary, layers, division, step, used, left] = found;
  answer.values = {{"sequence", sequence_text(layers)},
                   {"batch", std::to_string(task.batch)},
                   {"micro_batches", std::to_string(task.micro_batches)},
                   {"pp", std::to_string(task.stages)},
                   {"division", fmt::format("{}", fmt::join(division, ","))},
                   {"vtp", std::to_string(vocabulary.degree())},
                   {"vsp", vocabulary.sp > 1 ? "1" : "0"},
                   {"embed_sdp", vocabulary.type == DpType::zero3 ? "1" : "0"},
                   {"tp_sp_mode", name_of(task.mode)},
                   {"shared_buffer_degree", std::to_string(task.widest)},
                   {"memory_mb", list(without_held_back(used, s))},
                   {"held_back_mb", std::to_string(budget_of(s).held_back)},
                   {"remaining_mb", list(left)}};
  if (const std::string text = rounding(found); !text.empty()) answer.values["rounded_down"] = text;
}

StandaloneAnswer to_answer(const SearchOutcome& outcome, const Settings& s, const std::string& title) {
  StandaloneAnswer answer;
  answer.explored = outcome.explored;
  answer.seconds = outcome.seconds;
  if (!outcome.best) {
    answer.status = outcome.proven ? "infeasible, proven" : outcome.stopped ? "nothing found" : "infeasible";
    if (outcome.stopped) {
      answer.lines = {fmt::format("{}: stopped before a plan was found that fits", title)};
      return answer;
    }
    answer.lines = {fmt::format("{}: no plan fits in {} MiB a device ({:.2f} s)", title, s.budget, outcome.seconds)};
    return answer;
  }
  const Solution& found = *outcome.best;
  answer.step_seconds = found.step;
  answer.samples_per_second = found.throughput();
  answer.status = "feasible";
  if (outcome.bound) {
    answer.lower_bound = *outcome.bound * static_cast<double>(found.task.batch);
    answer.status = outcome.proven
                        ? "optimal, proven"
                        : fmt::format("within {:.2g} %, proven", (found.step / *answer.lower_bound - 1) * 100);
  }
  for (const double megabytes : without_held_back(found.used, s))
    answer.memory.push_back(Bytes(static_cast<std::int64_t>(std::ceil(megabytes * 1024 * 1024))));
  answer.plan = to_plan(found, s);
  answer.document = to_document(found, s);
  tell(found, s, answer);
  answer.lines = {
      fmt::format("{}: {:.6f} samples/s, {:.6f} s a step of {} samples ({}, found in {:.3f} s)", title,
                  answer.samples_per_second, found.step, found.task.batch, answer.status, outcome.seconds),
      fmt::format("  layers: {}", answer.values["sequence"]),
      fmt::format("  {} stages (layers {}), {} micro-batches, vtp {}, vsp {}, embed_sdp {}", answer.values["pp"],
                  answer.values["division"], answer.values["micro_batches"], answer.values["vtp"], answer.values["vsp"],
                  answer.values["embed_sdp"]),
      fmt::format("  memory by stage {} MB, left {} MB; {} MB of a device held back", answer.values["memory_mb"],
                  answer.values["remaining_mb"], answer.values["held_back_mb"])};
  if (outcome.stopped) answer.lines.push_back("  stopped before its end: the best plan so far");
  if (const auto text = answer.values.find("rounded_down"); text != answer.values.end())
    answer.lines.push_back("  rounded down: " + text->second);
  return answer;
}

// Equal but for rounding: then the reference's plan is an optimum, and the one to show; the answer is never below it.
void settle_ties(SearchOutcome& exact, const SearchOutcome& reference) {
  if (!reference.best) return;
  if (exact.stopped && !exact.best) exact.best = reference.best;
  if (!exact.best) return;
  if (exact.best->throughput() > reference.best->throughput() * (1 + 1e-12)) return;
  exact.best = reference.best;
  if (exact.bound) exact.bound = std::min(*exact.bound, 1 / reference.best->throughput());
}

class Galvatron final : public SearchAlgorithm, public StandaloneSearch {
 public:
  std::optional<Plan> solve(const Problem&, const CostOracle&, const Options&, SearchLog&) const override {
    throw Error(
        ExitCode::unsupported, "search 'galvatron' plans by its own profiles and costs, not for a Trellis model",
        "trellis search needs a run file with its section 'search' only, as configs/runs/galvatron-llama2-7b.yaml");
  }

  std::map<std::string, StandaloneAnswer> solve(const Options& options, SearchLog& log) const override {
    const Settings settings = Settings::read(options);
    check_space(options, settings);
    const Profiles profiles = read_profiles(settings);
    const CostModel costs(settings, profiles);
    std::map<std::string, StandaloneAnswer> answers;
    const SearchOutcome reference = search_as_reference(costs, log.stopped);
    StandaloneAnswer& own = answers[""] = to_answer(reference, settings, "galvatron");
    if (!settings.exact || log.stopped()) return answers;
    log.progress(fmt::format("galvatron: {:.6f} samples/s; now exactly", own.samples_per_second));
    SearchOutcome exact = search_exactly(costs, log.stopped);
    settle_ties(exact, reference);
    answers["exact"] = to_answer(exact, settings, "exact on the same costs");
    if (exact.bound && reference.best) {
      own.lower_bound = *exact.bound * static_cast<double>(reference.best->task.batch);
      answers["exact"].lines.push_back(fmt::format(
          "  {:.4f} % more than galvatron", (exact.best->throughput() / reference.best->throughput() - 1) * 100));
    }
    return answers;
  }

  const void* extension(std::string_view id) const override {
    if (id == kStandaloneSearch) return static_cast<const StandaloneSearch*>(this);
    if (id == kPlanFormat) return static_cast<const trellis::PlanFormat*>(&format_);
    return nullptr;
  }

 private:
  galvatron::GalvatronFormat format_;
};

}  // namespace
}  // namespace galvatron
}  // namespace trellis

TRELLIS_PLUGIN("galvatron", "1.0.0") { registrar.add<trellis::galvatron::Galvatron>(); }
