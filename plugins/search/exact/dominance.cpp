#include "dominance.h"

#include <algorithm>

namespace trellis::exact_search {

Dominance::Dominance(const Task& task) : task_(task) {
  if (task.stages() > 1) return;
  double most = 0;
  for (int i = 0; i < task.layers(); ++i) {
    double layer = 0;
    for (int o = 0; o < static_cast<int>(task.kind(i).options.size()); ++o) {
      const LayerCost& c = task.cost(i, o, 0);
      const Picoseconds passes =
          c.forward.busy + c.forward.gather + c.backward.busy + c.backward.gather + c.reduce_each;
      const double m = task.choice().micro_batches + 1;
      layer = std::max(
          layer, 2 * m * static_cast<double>(passes.value) + static_cast<double>((c.reduce_last * 2 + c.update).value));
    }
    most += layer;
  }
  by_step_ = most < 1e15;
}

Dominance::Numbers Dominance::numbers(const Label& l) const {
  const StageSum& s = l.sum;
  Numbers n{s.states.value, s.kept.value,  s.last_peak.value,    s.peak.value,        s.gathered.value,
            s.gather.value, s.early.value, s.update_bytes.value, l.tie_pending.value, l.tie_bytes.value};
  if (by_step_) {
    // Only the step counts, so far and by either way in which its last reduction can end.
    n[10] = alone(l, s.reduced), n[11] = alone(l, s.reducing);
    return n;
  }
  n[10] = s.forward.value, n[11] = s.backward.value, n[12] = s.reduced.value, n[13] = s.reducing.value;
  n[14] = s.update.value, n[15] = l.shared.value;
  if (l.arriving) n[16] = l.arriving->send_backward.value, n[17] = l.arriving->sent.value;
  return n;
}

// The step so far, in 1024ths of a picosecond, with its last backward from `reduced` on.
std::int64_t Dominance::alone(const Label& l, Picoseconds reduced) const {
  const StageSum& s = l.sum;
  const std::int64_t m = task_.choice().micro_batches, beyond = task_.slowdown().beyond_one();
  const std::int64_t whole = m * s.forward.value + (m - 1) * s.backward.value + s.update.value + l.shared.value;
  return whole * 1024 + reduced.value * (1024 - beyond) + (s.backward.value + s.reducing.value) * beyond;
}

// Either way ends a whole picosecond later. A pipeline may wait for another stage anyway.
bool Dominance::surely_longer(const Numbers& b, const Numbers& a) const {
  return by_step_ && b[10] - a[10] >= 1024 && b[11] - a[11] >= 1024;
}

std::int64_t Dominance::time(const Numbers& n) { return n[10] + n[11] + n[12] + n[13] + n[14] + n[15]; }

bool Dominance::no_worse_behind(const Label& a, const Label& b, const std::vector<Done>& done) const {
  if (a.largest > b.largest) return false;
  for (int p = a.done, q = b.done; p >= 0 && p != q;) {
    const Done &u = done[static_cast<std::size_t>(p)], &v = done[static_cast<std::size_t>(q)];
    const StageTotal &t = u.total, &r = v.total;
    if (t.forward > r.forward || t.backward > r.backward || t.last_backward > r.last_backward || t.update > r.update ||
        t.send_forward > r.send_forward || t.send_backward > r.send_backward || t.states > r.states)
      return false;
    p = u.before, q = v.before;
  }
  return true;
}

}  // namespace trellis::exact_search
