#include "run/profile/timed_world.h"

#include <utility>

namespace trellis::profile {

double seconds_of(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct TimedWorld::Notes {
  clockid_t clock;
  double spent = 0;
  MoveTimes times{};
};

namespace {

constexpr double kAtOnce = 30e-6;  // between start and wait

using Notes = TimedWorld::Notes;
using What = std::tuple<MoveKind, int, Bytes>;

class TimedWork final : public Work {
 public:
  TimedWork(Notes& notes, What what, double begin, WorkPtr inner)
      : notes_(notes), what_(what), begin_(begin), started_(seconds_of(CLOCK_MONOTONIC)), inner_(std::move(inner)) {}

  void wait() override {
    const bool at_once = seconds_of(CLOCK_MONOTONIC) - started_ < kAtOnce;
    const double before = seconds_of(notes_.clock);
    inner_->wait();
    notes_.spent += seconds_of(notes_.clock) - before;
    if (at_once) notes_.times[what_].push_back(seconds_of(CLOCK_MONOTONIC) - begin_);
  }

 private:
  Notes& notes_;
  What what_;
  double begin_, started_;
  WorkPtr inner_;
};

class TimedComm final : public Comm {
 public:
  TimedComm(Comm& inner, Notes& notes) : inner_(inner), notes_(notes) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  WorkPtr all_gather(at::Tensor out, at::Tensor in) override {
    return timed(MoveKind::all_gather, out.nbytes(), [&] { return inner_.all_gather(out, in); });
  }
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override {
    return timed(MoveKind::reduce_scatter, in.nbytes(), [&] { return inner_.reduce_scatter(out, in); });
  }
  WorkPtr all_reduce(at::Tensor inout) override {
    return timed(MoveKind::all_reduce, inout.nbytes(), [&] { return inner_.all_reduce(inout); });
  }
  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override {
    return timed(MoveKind::all_to_all, in.nbytes(), [&] { return inner_.all_to_all(out, in); });
  }
  WorkPtr broadcast(at::Tensor inout, int root) override { return inner_.broadcast(inout, root); }
  WorkPtr send(at::Tensor in, int to, int tag) override { return inner_.send(in, to, tag); }
  WorkPtr receive(at::Tensor out, int from, int tag) override { return inner_.receive(out, from, tag); }
  void barrier() override { inner_.barrier(); }

 private:
  template <class Start>
  WorkPtr timed(MoveKind kind, std::size_t whole, Start&& start) {
    const Bytes received = received_bytes(kind, Bytes{static_cast<std::int64_t>(whole)}, size());
    const double begin = seconds_of(CLOCK_MONOTONIC), before = seconds_of(notes_.clock);
    WorkPtr work = start();
    notes_.spent += seconds_of(notes_.clock) - before;
    return std::make_unique<TimedWork>(notes_, What{kind, size(), received}, begin, std::move(work));
  }

  Comm& inner_;
  Notes& notes_;
};

}  // namespace

TimedWorld::TimedWorld(CommWorld& inner, clockid_t clock) : inner_(inner), notes_(new Notes{.clock = clock}) {}
TimedWorld::~TimedWorld() = default;

Comm& TimedWorld::group(const std::vector<int>& ranks) {
  std::unique_ptr<Comm>& comm = groups_[ranks];
  if (!comm) comm = std::make_unique<TimedComm>(inner_.group(ranks), *notes_);
  return *comm;
}

MoveTimes TimedWorld::take() { return std::exchange(notes_->times, {}); }
double TimedWorld::spent() const { return notes_->spent; }

}  // namespace trellis::profile
