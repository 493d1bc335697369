// Overlap of operations, what is recorded, and how a run ends when something is wrong.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "run/comm/thread_ranks.h"
#include "trellis/plan/error.h"

using namespace trellis;
using namespace std::chrono_literals;

namespace {

struct Outcome {
  ExitCode code = ExitCode::success;
  std::string text;
  double seconds = 0;
};

Outcome outcome(int size, bool in_memory, int timeout_seconds, const std::function<void(CommWorld&)>& body) {
  Outcome result;
  const auto start = std::chrono::steady_clock::now();
  try {
    ThreadRanks(size, in_memory, timeout_seconds).run(body);
  } catch (const Error& e) {
    result = {e.code(), e.what()};
  } catch (const std::exception& e) {
    result = {ExitCode::failure, e.what()};
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an operation starts at once and ends without a wait of the others") {
  for (const bool in_memory : {true, false}) {
    const Outcome result = outcome(2, in_memory, 20, [](CommWorld& world) {
      at::Tensor value = at::ones({10});
      if (world.rank() == 1) std::this_thread::sleep_for(200ms);
      const auto start = std::chrono::steady_clock::now();
      WorkPtr work = world.world().all_reduce(value);
      if (std::chrono::steady_clock::now() - start > 150ms) throw std::runtime_error("the start waited for the peer");
      if (world.rank() == 1) std::this_thread::sleep_for(200ms);
      work->wait();
      if (world.rank() == 0 && std::chrono::steady_clock::now() - start > 350ms)
        throw std::runtime_error("the wait waited for the peer's wait");
      if (value[0].item<float>() != 2) throw std::runtime_error("wrong sum");
    });
    CHECK(result.text == "");
  }
}

TEST_CASE("operations of different groups are waited for in any order") {
  for (const bool in_memory : {true, false}) {
    const Outcome result = outcome(4, in_memory, 20, [](CommWorld& world) {
      world.create_groups({{0, 1}, {2, 3}, {0, 2}, {1, 3}});
      const int r = world.rank();
      Comm& row = world.group(r < 2 ? std::vector{0, 1} : std::vector{2, 3});
      Comm& column = world.group(r % 2 == 0 ? std::vector{0, 2} : std::vector{1, 3});
      for (int round = 0; round < 20; ++round) {
        at::Tensor a = at::ones({40'000}), b = at::ones({40'000}), c = at::zeros({80'000});
        // Half of the ranks start and wait in the other order.
        WorkPtr works[3];
        const bool flipped = r % 3 == 0;
        if (flipped) works[1] = column.all_reduce(b);
        works[0] = row.all_reduce(a);
        if (!flipped) works[1] = column.all_reduce(b);
        works[2] = world.world().all_to_all(c, at::full({80'000}, static_cast<float>(r)));
        for (int i : flipped ? std::vector{2, 0, 1} : std::vector{1, 0, 2}) works[i]->wait();
        if (a.sum().item<float>() != 80'000 || b.sum().item<float>() != 80'000 || c.sum().item<float>() != 120'000)
          throw std::runtime_error("wrong sum");
      }
    });
    CHECK(result.text == "");
  }
}

TEST_CASE("records hold kind, group and the bytes that this rank received") {
  for (const bool in_memory : {true, false}) {
    std::vector<CommRecord> records;
    const Outcome result = outcome(4, in_memory, 20, [&](CommWorld& world) {
      world.create_groups({{2, 0, 3, 1}});
      if (world.rank() == 0) world.record(&records);
      Comm& comm = world.group({2, 0, 3, 1});
      at::Tensor one = at::zeros({2}), four = at::zeros({8});
      comm.all_gather(four, one)->wait();
      comm.reduce_scatter(one, four)->wait();
      comm.all_reduce(four)->wait();
      comm.all_to_all(four, at::zeros({8}))->wait();
      if (world.rank() == 0) comm.send(one, 0, 0)->wait();  // to global rank 2
      if (world.rank() == 2) comm.receive(one, 1, 0)->wait();
      if (world.rank() == 2) comm.send(one, 1, 1)->wait();
      if (world.rank() == 0) comm.receive(one, 0, 1)->wait();
      world.record(nullptr);
      comm.barrier();
    });
    CHECK(result.text == "");
    const std::vector<int> group{2, 0, 3, 1};
    const std::vector<CommRecord> wanted{{MoveKind::all_gather, group, 24_B}, {MoveKind::reduce_scatter, group, 24_B},
                                         {MoveKind::all_reduce, group, 48_B}, {MoveKind::all_to_all, group, 24_B},
                                         {MoveKind::send_recv, group, 0_B},   {MoveKind::send_recv, group, 8_B}};
    CHECK((records == wanted));
  }
}

TEST_CASE("when a rank throws, all others end, and its error is the one that is told") {
  for (const bool in_memory : {true, false})
    for (const std::int64_t elements : {10, 100'000}) {
      std::atomic<int> ended = 0;
      const Outcome result = outcome(4, in_memory, 30, [&](CommWorld& world) {
        world.create_groups({{0, 1}, {2, 3}});
        at::Tensor value = at::ones({elements});
        if (world.rank() == 2) world.world().barrier();
        if (world.rank() == 2) {
          WorkPtr unfinished = world.world().all_reduce(value);
          fail("the model of rank 2 is wrong");
        }
        try {
          world.world().barrier();  // a slow rank may still be in it
          world.world().all_reduce(value)->wait();
          // Rank 2 did start that one: it may have succeeded. The next cannot.
          world.world().all_reduce(value)->wait();
        } catch (const Error& e) {
          if (e.code() == ExitCode::rank_failed &&
              contains(e.what(), " in group 0-1-2-3: rank 2 failed: the model of rank 2 is wrong"))
            ++ended;
          throw;
        }
      });
      CHECK(result.code == ExitCode::bad_input);
      CHECK(result.text == "the model of rank 2 is wrong");
      CHECK(ended == 3);
      CHECK(result.seconds < 10);
    }
}

TEST_CASE("when a rank throws before it connects a group, the others do not wait for it") {
  for (const bool in_memory : {true, false}) {
    const Outcome result = outcome(3, in_memory, 30, [](CommWorld& world) {
      if (world.rank() == 0) fail("no groups here");
      world.create_groups({{0, 1, 2}, {2, 1, 0}});
      world.group({2, 1, 0}).barrier();
    });
    CHECK(result.text == "no groups here");
    CHECK(result.seconds < 10);
  }
}

TEST_CASE("a rank that never comes is an error at the time limit") {
  for (const bool in_memory : {true, false}) {
    std::atomic<bool> released = false;
    const Outcome result = outcome(2, in_memory, 1, [&](CommWorld& world) {
      at::Tensor value = at::ones({4});
      if (world.rank() == 0) {
        try {
          world.world().all_reduce(value)->wait();
        } catch (...) {
          released = true;
          throw;
        }
      }
      while (!released) std::this_thread::sleep_for(5ms);
    });
    CHECK(result.code == ExitCode::rank_failed);
    CHECK(contains(result.text, "all_reduce in group 0-1: "));
    CHECK(result.seconds < 8);
  }
}

TEST_CASE("ranks that disagree are told apart by the in-memory transport") {
  const Outcome kinds = outcome(2, true, 20, [](CommWorld& world) {
    at::Tensor value = at::ones({4});
    if (world.rank() == 0) world.world().all_reduce(value)->wait();
    if (world.rank() == 1) world.world().broadcast(value, 0)->wait();
  });
  CHECK(contains(kinds.text, "in group 0-1: rank 1 has broadcast where rank 0 has all_reduce"));
  const Outcome sizes = outcome(2, true, 20, [](CommWorld& world) {
    at::Tensor value = at::ones({4 + world.rank()});
    world.world().all_reduce(value)->wait();
  });
  CHECK(contains(sizes.text, "rank 1 has 5 elements of Float where rank 0 has 4 elements of Float"));
  const Outcome absent = outcome(2, true, 20, [](CommWorld& world) {
    if (world.rank() == 0) world.world().barrier();
  });
  CHECK(absent.text == "barrier in group 0-1: rank 1 has ended without taking part");
  const Outcome forgotten = outcome(2, true, 20, [](CommWorld& world) {
    if (world.rank() == 0) world.world().send(at::ones({1}), 1, 0);
  });
  CHECK(forgotten.text == "rank 0 started send/receive in group 0-1, and not all of the group did");
}

TEST_CASE("arguments that do not fit are refused") {
  const auto refused = [](const std::function<void(Comm&)>& call) {
    return outcome(2, true, 20, [&](CommWorld& world) { call(world.world()); }).text;
  };
  CHECK(refused([](Comm& c) { c.all_gather(at::zeros({3}), at::zeros({2})); }) ==
        "all_gather in group 0-1: expected 2 times 2 elements, found 3");
  CHECK(refused([](Comm& c) {
          c.all_reduce(at::zeros({3, 2}).t());
        }) == "all_reduce in group 0-1: 'inout' is not contiguous");
  CHECK(refused([](Comm& c) { c.all_to_all(at::zeros({3}), at::zeros({3})); }) ==
        "all_to_all in group 0-1: 3 elements do not make 2 equal pieces");
  CHECK(contains(refused([](Comm& c) { c.send(at::zeros({3}), c.rank(), 0); }), "cannot have"));
  CHECK(contains(outcome(3, true, 20, [](CommWorld& w) { w.group({0, 1}); }).text, "group 0-1, which create_groups"));
  CHECK(contains(outcome(3, true, 20, [](CommWorld& w) { w.create_groups({{0, 3}}); }).text, "distinct ranks below 3"));
}
