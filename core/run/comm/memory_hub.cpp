#include "run/comm/memory_hub.h"

#include "run/comm/checked_comm.h"
#include "run/comm/rank_sum.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

const char* name_of(MemoryOp op) {
  constexpr const char* names[] = {"all_gather", "reduce_scatter", "all_reduce", "all_to_all",
                                   "broadcast",  "send/receive",   "barrier"};
  return names[static_cast<int>(op)];
}

// The p-th of n equal pieces.
at::Tensor piece(const at::Tensor& tensor, std::size_t p, std::size_t n) {
  const auto length = tensor.numel() / static_cast<std::int64_t>(n);
  return tensor.view(-1).narrow(0, static_cast<std::int64_t>(p) * length, length);
}

// Checks what only all members together can show.
std::string disagreement(const std::vector<int>& ranks, const std::vector<MemoryPost>& posts) {
  const MemoryPost& first = posts[0];
  for (std::size_t i = 1; i < posts.size(); ++i) {
    const auto differ = [&](const std::string& mine, const std::string& yours) {
      return fmt::format("rank {} has {} where rank {} has {}", ranks[i], yours, ranks[0], mine);
    };
    const auto size = [](const at::Tensor& tensor) {
      return tensor.defined() ? fmt::format("{} elements of {}", tensor.numel(), toString(tensor.scalar_type())) : "";
    };
    if (first.op != posts[i].op) return differ(name_of(first.op), name_of(posts[i].op));
    if (first.root != posts[i].root)
      return differ(fmt::format("root {}", first.root), fmt::format("{}", posts[i].root));
    if (size(first.in) != size(posts[i].in)) return differ(size(first.in), size(posts[i].in));
  }
  return {};
}

std::vector<at::Tensor> pieces_of_all(const std::vector<MemoryPost>& posts, std::size_t p, std::size_t n) {
  std::vector<at::Tensor> parts;
  for (const MemoryPost& post : posts) parts.push_back(piece(post.in, p, n));
  return parts;
}

void execute(const std::vector<MemoryPost>& posts) {
  const std::size_t n = posts.size();
  switch (posts[0].op) {
    case MemoryOp::barrier:
      return;
    case MemoryOp::all_gather:
      for (const MemoryPost& to : posts)
        for (std::size_t p = 0; p < n; ++p) piece(to.out, p, n).copy_(posts[p].in.view(-1));
      return;
    case MemoryOp::all_to_all:
      for (std::size_t to = 0; to < n; ++to)
        for (std::size_t p = 0; p < n; ++p) piece(posts[to].out, p, n).copy_(piece(posts[p].in, to, n));
      return;
    case MemoryOp::reduce_scatter:
      for (std::size_t to = 0; to < n; ++to) sum_in_rank_order(posts[to].out, pieces_of_all(posts, to, n));
      return;
    case MemoryOp::all_reduce:
      sum_in_rank_order(posts[0].out, pieces_of_all(posts, 0, 1));
      for (std::size_t to = 1; to < n; ++to) posts[to].out.copy_(posts[0].out);
      return;
    case MemoryOp::broadcast: {
      const auto root = static_cast<std::size_t>(posts[0].root);
      for (std::size_t to = 0; to < n; ++to)
        if (to != root) posts[to].out.copy_(posts[root].in);
      return;
    }
    case MemoryOp::send_recv:
      posts[1].out.view(-1).copy_(posts[0].in.view(-1));
      return;
  }
}

}  // namespace

MemoryHub::MemoryHub(int size, std::chrono::seconds timeout)
    : timeout_(timeout), finished_(static_cast<std::size_t>(size)) {}

void MemoryHub::arrive(MemoryMeeting& meeting, std::size_t member, MemoryPost post) {
  meeting.posts[member] = std::move(post);
  meeting.present[member] = true;
  if (++meeting.arrived < meeting.ranks.size()) return;
  meeting.error = disagreement(meeting.ranks, meeting.posts);
  meeting.state = meeting.error.empty() ? MemoryMeeting::State::ready : MemoryMeeting::State::done;
  meeting.changed.notify_all();
}

std::shared_ptr<MemoryMeeting> MemoryHub::start(const std::vector<int>& ranks, int rank, MemoryPost post) {
  const std::lock_guard lock(mutex_);
  const auto member = static_cast<std::size_t>(rank);
  Meetings& open = open_[ranks];
  std::shared_ptr<MemoryMeeting> mine;
  for (auto& meeting : open)
    if (!meeting->present[member]) {
      mine = meeting;
      break;
    }
  if (!mine) mine = open.emplace_back(std::make_shared<MemoryMeeting>(ranks));
  arrive(*mine, member, std::move(post));
  if (mine->arrived == ranks.size()) open.pop_front();  // every member meets the others in order, so it is the first
  return mine;
}

std::shared_ptr<MemoryMeeting> MemoryHub::start_transfer(const std::vector<int>& ranks, int from, int to, int tag,
                                                         bool sending, at::Tensor tensor) {
  const std::lock_guard lock(mutex_);
  const auto global = [&](int member) { return ranks[static_cast<std::size_t>(member)]; };
  const std::size_t member = sending ? 0 : 1;
  Meetings& open = transfers_[{ranks, from, to, tag}];
  std::shared_ptr<MemoryMeeting> mine;
  if (!open.empty() && !open.front()->present[member]) {
    mine = open.front();
    open.pop_front();
  } else {
    mine = open.emplace_back(std::make_shared<MemoryMeeting>(std::vector{global(from), global(to)}));
  }
  MemoryPost post{.op = MemoryOp::send_recv, .out = {}, .in = {}, .root = 0};
  // Both in `in`, where their sizes are compared.
  post.in = tensor;
  if (!sending) post.out = std::move(tensor);
  arrive(*mine, member, std::move(post));
  return mine;
}

std::string MemoryHub::broken(const MemoryMeeting& meeting) const {
  if (!failure_.empty()) return failure_;
  for (std::size_t m = 0; m < meeting.ranks.size(); ++m)
    if (!meeting.present[m] && finished_[static_cast<std::size_t>(meeting.ranks[m])])
      return fmt::format("rank {} has ended without taking part", meeting.ranks[m]);
  return {};
}

void MemoryHub::wait(MemoryMeeting& meeting, int self) {
  using State = MemoryMeeting::State;
  const auto lost = [&](const std::string& why) {
    const MemoryOp op = [&] {
      for (std::size_t m = 0; m < meeting.ranks.size(); ++m)
        if (meeting.ranks[m] == self) return meeting.posts[m].op;
      return MemoryOp::barrier;
    }();
    trellis::fail(ExitCode::rank_failed, "{} in group {}: {}", name_of(op), group_name(meeting.ranks), why);
  };

  std::unique_lock lock(mutex_);
  const bool woken = meeting.changed.wait_for(
      lock, timeout_, [&] { return meeting.state != State::gathering || !broken(meeting).empty(); });
  if (meeting.state == State::gathering) {
    if (const std::string why = broken(meeting); !why.empty()) lost(why);
    if (!woken) lost(fmt::format("not all ranks came within {} s", timeout_.count()));
  }
  if (meeting.state == State::ready) {
    meeting.state = State::running;
    lock.unlock();
    std::string error;
    try {
      execute(meeting.posts);
    } catch (const std::exception& e) {
      error = e.what();
    }
    lock.lock();
    meeting.error = error;
    meeting.state = State::done;
    meeting.changed.notify_all();
  }
  // Whoever runs it reads and writes this rank's tensors: no leaving before the end, whatever has failed elsewhere.
  meeting.changed.wait(lock, [&] { return meeting.state == State::done; });
  if (!meeting.error.empty()) lost(meeting.error);
}

void MemoryHub::wake_all() {
  for (auto& [ranks, open] : open_)
    for (auto& meeting : open) meeting->changed.notify_all();
  for (auto& [key, open] : transfers_)
    for (auto& meeting : open) meeting->changed.notify_all();
}

void MemoryHub::fail(int rank, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = fmt::format("rank {} failed: {}", rank, reason);
  wake_all();
}

void MemoryHub::finish(int rank) {
  const std::lock_guard lock(mutex_);
  finished_[static_cast<std::size_t>(rank)] = true;
  wake_all();
}

void MemoryHub::reset() {
  const std::lock_guard lock(mutex_);
  std::string left;
  const auto collect = [&](const Meetings& open) {
    for (const auto& meeting : open)
      for (std::size_t m = 0; m < meeting->ranks.size(); ++m)
        if (left.empty() && meeting->present[m])
          left = fmt::format("rank {} started {} in group {}, and not all of the group did", meeting->ranks[m],
                             name_of(meeting->posts[m].op), group_name(meeting->ranks));
  };
  for (const auto& [ranks, open] : open_) collect(open);
  for (const auto& [key, open] : transfers_) collect(open);
  open_.clear();
  transfers_.clear();
  finished_.assign(finished_.size(), false);
  if (!left.empty()) trellis::fail(ExitCode::failure, "{}", left);
}

}  // namespace trellis
