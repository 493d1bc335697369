#include "run/train/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "plan/base/words.h"

namespace trellis::train {
namespace {

std::string right_of(const Evaluation& e) { return e.accuracy ? fmt::format(", {:.1f} % right", 100 * *e.accuracy) : ""; }

}  // namespace

Console::Console(std::int64_t steps, std::int64_t log_every, bool quiet)
    : steps_(steps), log_every_(log_every), quiet_(quiet), terminal_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

Console::~Console() { clear_progress(); }

void Console::say(const std::string& line) {
  if (quiet_) return;
  clear_progress();
  print_out(line + "\n");
}

void Console::step(const StepMetrics& m) {
  if (!header_) say("    step      loss   learning rate   gradient     tokens/s        time   memory: peak  predicted");
  header_ = true;
  if (m.step == 1 || m.step == steps_ || m.step % log_every_ == 0)
    say(fmt::format("{:>8}  {:>8.4f}   {:>13.3e}   {:>8.3f}   {:>10.0f}   {:>9}   {:>12}  {:>9}", m.step, m.loss,
                    m.learning_rate, m.gradient_norm, m.tokens_per_second(), format(from_seconds(m.seconds)),
                    format(m.memory_peak), format(m.memory_predicted)));
  show_progress(m.step);
}

void Console::held_out(std::int64_t step, const Evaluation& e) {
  say(fmt::format("{:>8}  {:>8.4f}   held-out loss{}", step, e.loss, right_of(e)));
}

void Console::clear_progress() {
  if (progress_) fmt::print(stderr, "\r\x1b[K");
  progress_ = false;
}

void Console::show_progress(std::int64_t step) {
  if (!terminal_ || step == steps_) return;
  const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double left = passed / static_cast<double>(step) * static_cast<double>(steps_ - step);
  fmt::print(stderr, "\r\x1b[Kstep {} of {}   {} %   {} passed, about {} left", step, steps_, 100 * step / steps_,
             clock_time(passed), clock_time(left));
  std::fflush(stderr);
  progress_ = true;
}

std::string clock_time(double seconds) {
  const auto total = static_cast<std::int64_t>(seconds + 0.5);
  const std::int64_t hours = total / 3600, minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

std::string verdict(double last_loss, const std::optional<Evaluation>& held_out, const data::Baseline& base) {
  const double loss = held_out ? held_out->loss : last_loss;
  const std::string what = held_out ? "on the held-out " + base.data : "in the last step";
  const std::string text = fmt::format("loss {}: {:.3f} nats {} (perplexity {:.2f}){}; {} of the {}: {:.3f}", what, loss,
                                       a(base.item), std::exp(loss), held_out ? right_of(*held_out) : "", base.name, base.data, base.entropy);
  const bool is_below = loss < base.entropy;
  return fmt::format("{}\nThe model {} more than frequencies: {:.3f} nats {} {} the {}.", text,
                     is_below ? "learned" : "has not yet learned", std::abs(loss - base.entropy), a(base.item),
                     is_below ? "below" : "above", base.name);
}

}  // namespace trellis::train
