#include "plan/cost/timeline.h"

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis {

void Timeline::compute(Picoseconds busy) {
  const Picoseconds hidden = std::min(busy, backlog());
  work_off(hidden);
  now_ += busy + scaled(hidden, slowdown_ - 1);
}

// At most the backlog. Half for each queue until one of them is empty.
void Timeline::work_off(Picoseconds link) {
  Backlog &less = queues_[0].left() < queues_[1].left() ? queues_[0] : queues_[1];
  Backlog &more = &less == &queues_[0] ? queues_[1] : queues_[0];
  const Picoseconds half = std::min(less.left(), Picoseconds{link.value / 2});
  less.drained += half;
  more.drained += link - half;
}

Picoseconds Timeline::start(Picoseconds transfer, Queue queue) { return of(queue).queued += transfer; }

void Timeline::wait(Picoseconds place, Queue queue) {
  Backlog &mine = of(queue), &other = beside(queue);
  if (place <= mine.drained) return;
  const Picoseconds left = place - mine.drained, meanwhile = std::min(left, other.left());
  mine.drained = place;
  other.drained += meanwhile;
  now_ += left + meanwhile;
  exposed_ += left + meanwhile;
}

void Timeline::wait_all() {
  for (const Queue queue : {Queue::moves, Queue::reductions}) wait(of(queue).queued, queue);
}

void ListRunner::run(const Instructions& list, Timeline& time) {
  for (const Instruction& i : list)
    if (!i.last_only || last) run(i, time);
}

void ListRunner::run(const Instruction& i, Timeline& time) {
  const Price price = prices.price(stage, i, context, at);
  switch (i.kind) {
    case InstructionKind::start:
      time.compute(price.compute);
      moves[i.out.front()] = time.start(price.transfer);
      return;
    case InstructionKind::wait:
      if (const auto started = moves.find(i.out.front()); started != moves.end()) time.wait(started->second);
      return time.compute(price.compute);
    case InstructionKind::gather_start:
      gathers[i.bucket] = time.start(price.transfer);
      return;
    case InstructionKind::gather_wait:
      return time.wait(gathers[i.bucket]);
    case InstructionKind::reduce_start:
      reductions[i.bucket] = time.start(price.transfer, Timeline::Queue::reductions);
      return;
    case InstructionKind::reduce_wait:
      if (const auto started = reductions.find(i.bucket); started != reductions.end())
        time.wait(started->second, Timeline::Queue::reductions);
      return time.compute(price.compute);
    default:
      return time.compute(price.compute);
  }
}

namespace {

class ScheduleReplay {
 public:
  ScheduleReplay(const std::vector<StageTimes>& times, const std::vector<std::vector<Action>>& actions)
      : times_(times), actions_(actions), now_(times.size()), next_(times.size(), 0), links_(2 * times.size()) {
    for (const std::vector<Action>& list : actions)
      for (const Action& a : list) micro_batches_ = std::max(micro_batches_, a.micro_batch + 1);
    arrivals_.assign(2 * times.size() * static_cast<std::size_t>(micro_batches_), Picoseconds{-1});
    for (const std::vector<Action>& list : actions) {
      int last = -1;
      for (const Action& a : list)
        if (a.kind == ActionKind::backward) last = a.micro_batch;
      last_.push_back(last);
    }
  }

  std::vector<Picoseconds> run() {
    for (bool progress = true; progress;) {
      progress = false;
      for (std::size_t s = 0; s < actions_.size(); ++s)
        while (next_[s] < actions_[s].size() && act(s, actions_[s][next_[s]])) ++next_[s], progress = true;
    }
    for (std::size_t s = 0; s < actions_.size(); ++s)
      if (next_[s] < actions_[s].size())
        fail(ExitCode::failure, "the schedule cannot go on: stage {} waits for micro-batch {} for ever", s,
             actions_[s][next_[s]].micro_batch);
    return now_;
  }

 private:
  // Of a micro-batch at the stage that receives it; negative: it has not been sent yet.
  Picoseconds& arrival(std::size_t s, bool forward, int micro_batch) {
    return arrivals_[(2 * s + (forward ? 1 : 0)) * static_cast<std::size_t>(micro_batches_) +
                     static_cast<std::size_t>(micro_batch)];
  }

  bool act(std::size_t s, const Action& action) {
    const StageTimes& t = times_[s];
    switch (action.kind) {
      case ActionKind::receive_forward:
        return receive(s, true, action.micro_batch);
      case ActionKind::receive_backward:
        return receive(s, false, action.micro_batch);
      case ActionKind::forward:
        now_[s] += t.forward;
        return true;
      case ActionKind::backward:
        now_[s] += action.micro_batch == last_[s] ? t.last_backward : t.backward;
        return true;
      case ActionKind::send_forward:
        return send(s, s + 1, true, action.micro_batch, t.send_forward);
      case ActionKind::send_backward:
        return send(s, s - 1, false, action.micro_batch, t.send_backward);
    }
    return true;
  }
  bool receive(std::size_t s, bool forward, int micro_batch) {
    const Picoseconds arrived = arrival(s, forward, micro_batch);
    if (arrived < Picoseconds{0}) return false;
    now_[s] = std::max(now_[s], arrived);
    return true;
  }
  bool send(std::size_t from, std::size_t to, bool forward, int micro_batch, Picoseconds transfer) {
    Picoseconds& link = links_[2 * from + (forward ? 1 : 0)];
    link = std::max(link, now_[from]) + transfer;
    arrival(to, forward, micro_batch) = link;
    return true;
  }

  const std::vector<StageTimes>& times_;
  const std::vector<std::vector<Action>>& actions_;
  std::vector<Picoseconds> now_;
  std::vector<std::size_t> next_;
  std::vector<int> last_;
  std::vector<Picoseconds> links_;     // by sending stage and direction: when it is free
  int micro_batches_ = 0;
  std::vector<Picoseconds> arrivals_;
};

}  // namespace

std::vector<Picoseconds> replay_schedule(const std::vector<StageTimes>& times,
                                         const std::vector<std::vector<Action>>& actions) {
  return ScheduleReplay(times, actions).run();
}

}  // namespace trellis
