// What of the settings leaves a search without a single plan to try, whatever the memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "layout.h"

namespace trellis::galvatron {
namespace {

std::vector<std::int64_t> divisors(std::int64_t n) {
  std::vector<std::int64_t> found;
  for (std::int64_t d = 1; d <= n; ++d)
    if (n % d == 0) found.push_back(d);
  return found;
}

bool some_divides(const Settings& s) {
  if (s.micro_batches.empty()) return true;
  return std::ranges::any_of(s.batches, [&](std::int64_t batch) {
    return std::ranges::any_of(s.micro_batches, [&](std::int64_t m) { return m <= batch && batch % m == 0; });
  });
}

}  // namespace

void check_space(const Options& options, const Settings& s) {
  const Space space = make_space(s);
  if (space.layers.empty() || space.vocabulary.empty())
    options.reject("disable",
                   fmt::format("{} GPUs can share {} in no way that is left", s.devices,
                               space.layers.empty() ? "the layers" : "embedding and head"),
                   "allow one of tp, sp, pp, dp");
  if (!some_divides(s))
    options.reject("micro_batches",
                   fmt::format("a batch of {} can be divided by none of: {}", fmt::join(s.batches, ", "),
                               fmt::join(s.micro_batches, ", ")),
                   fmt::format("numbers that divide {}: {}", s.batches.front(),
                               fmt::join(divisors(s.batches.front()), ", ")));
  const std::vector<Task> tasks = make_tasks(s, space);
  const auto can_be_tried = [&](const Task& task) {
    const Space left = restrict(space, task, s);
    return !left.layers.empty() && !left.vocabulary.empty();
  };
  if (std::ranges::any_of(tasks, can_be_tried)) return;
  options.reject("batch",
                 fmt::format("{} in the numbers of micro-batches to try is too small for the strategies that are left: "
                             "stages are at most as many as micro-batches, and dp as samples of a micro-batch",
                             fmt::join(s.batches, ", ")),
                 "a larger batch, other micro_batches, or less in disable");
}

}  // namespace trellis::galvatron
