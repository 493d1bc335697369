// The results of every operation, on both thread transports and any group size.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "run/comm/thread_ranks.h"
#include "trellis/plan/error.h"

using namespace trellis;

namespace {

void on_both_transports(int from, int to, const std::function<void(CommWorld&)>& body) {
  for (const bool in_memory : {true, false})
    for (int size = from; size <= to; ++size) {
      CAPTURE(in_memory);
      CAPTURE(size);
      CHECK_NOTHROW(ThreadRanks(size, in_memory, 20).run(body));
    }
}

// doctest's macros are not for threads: a wrong value ends the run.
void expect(const at::Tensor& found, const at::Tensor& wanted) {
  if (!at::equal(found, wanted)) {
    std::ostringstream text;
    text << "found " << found << ", expected " << wanted;
    throw std::runtime_error(text.str());
  }
}

at::Tensor full(std::int64_t n, double value, at::ScalarType type = at::kFloat) {
  return at::full({n}, value, at::TensorOptions(type));
}

}  // namespace

TEST_CASE("all_gather puts the pieces in rank order") {
  on_both_transports(2, 8, [](CommWorld& world) {
    at::Tensor out = at::zeros({world.size(), 3});
    world.world().all_gather(out, full(3, world.rank()))->wait();
    for (int r = 0; r < world.size(); ++r) expect(out[r], full(3, r));
  });
}

TEST_CASE("reduce_scatter sums and leaves each rank its piece") {
  on_both_transports(2, 8, [](CommWorld& world) {
    const int n = world.size();
    const at::Tensor in = at::arange(n * 2, at::kDouble) + world.rank();  // of all: n * arange + 0 + 1 + ...
    at::Tensor out = at::zeros({2}, at::kDouble);
    world.world().reduce_scatter(out, in)->wait();
    expect(out, (at::arange(n * 2, at::kDouble) * n + n * (n - 1) / 2).narrow(0, world.rank() * 2, 2));
  });
}

TEST_CASE("all_reduce sums small and large tensors") {
  on_both_transports(2, 8, [](CommWorld& world) {
    for (const std::int64_t elements : {1, 100, 100'000}) {
      at::Tensor value = full(elements, world.rank() + 1);
      world.world().all_reduce(value)->wait();
      expect(value, full(elements, world.size() * (world.size() + 1) / 2));
    }
  });
}

TEST_CASE("all_to_all exchanges equal pieces") {
  on_both_transports(2, 8, [](CommWorld& world) {
    at::Tensor in = at::arange(world.size(), at::kLong) + 100 * world.rank();
    at::Tensor out = at::zeros({world.size()}, at::kLong);
    world.world().all_to_all(out, in)->wait();
    expect(out, at::arange(world.size(), at::kLong) * 100 + world.rank());
  });
}

TEST_CASE("broadcast gives everyone the root's values") {
  on_both_transports(2, 8, [](CommWorld& world) {
    const int root = world.size() - 1;
    at::Tensor value = full(5, world.rank());
    world.world().broadcast(value, root)->wait();
    expect(value, full(5, root));
  });
}

TEST_CASE("send and receive match by tag, and in order within a tag") {
  on_both_transports(2, 2, [](CommWorld& world) {
    std::vector<WorkPtr> works;
    std::vector<at::Tensor> buffers;
    const std::vector<int> tags = world.rank() == 0 ? std::vector{7, 7, 9} : std::vector{9, 7, 7};
    for (std::size_t i = 0; i < tags.size(); ++i) {
      buffers.push_back(full(4, static_cast<double>(i)));
      works.push_back(world.rank() == 0 ? world.world().send(buffers.back(), 1, tags[i])
                                        : world.world().receive(buffers.back(), 0, tags[i]));
    }
    for (auto& work : works) work->wait();
    if (world.rank() == 0) return;
    expect(buffers[0], full(4, 2));
    expect(buffers[1], full(4, 0));
    expect(buffers[2], full(4, 1));
  });
}

TEST_CASE("the order of a group's ranks is the order of the pieces") {
  on_both_transports(4, 4, [](CommWorld& world) {
    world.create_groups({{0, 2}, {1, 3}, {3, 1, 2, 0}});
    at::Tensor out = at::zeros({4});
    world.group({3, 1, 2, 0}).all_gather(out, full(1, world.rank()))->wait();
    expect(out, at::tensor({3.f, 1.f, 2.f, 0.f}));
    at::Tensor pair = full(1, world.rank());
    world.group(world.rank() % 2 == 0 ? std::vector{0, 2} : std::vector{1, 3}).all_reduce(pair)->wait();
    expect(pair, full(1, world.rank() % 2 == 0 ? 2 : 4));
  });
}

TEST_CASE("bf16 is summed in fp32 and rounded once") {
  on_both_transports(3, 3, [](CommWorld& world) {
    // 256 + 0.75 + 0.75 = 257.5 rounds to 258; rounding after each addition would leave 256.
    at::Tensor value = full(3, world.rank() == 0 ? 256 : 0.75, at::kBFloat16), out = full(1, 0, at::kBFloat16);
    world.world().reduce_scatter(out, value)->wait();
    expect(out, full(1, 258, at::kBFloat16));
    world.world().all_reduce(value)->wait();
    expect(value, full(3, 258, at::kBFloat16));
  });
}

TEST_CASE("a group of one rank copies") {
  on_both_transports(2, 2, [](CommWorld& world) {
    world.create_groups({{0}, {1}});
    Comm& alone = world.group({world.rank()});
    at::Tensor out = at::zeros({3});
    alone.reduce_scatter(out, full(3, 4))->wait();
    expect(out, full(3, 4));
    alone.all_reduce(out)->wait();
    alone.barrier();
    expect(out, full(3, 4));
  });
  const auto world = single_rank();
  CHECK(world->world().size() == 1);
  world->shutdown();
}

TEST_CASE("empty tensors pass") {
  on_both_transports(2, 2, [](CommWorld& world) {
    at::Tensor nothing = at::zeros({0});
    world.world().all_reduce(nothing)->wait();
    world.world().all_gather(nothing, nothing)->wait();
  });
}

TEST_CASE("a world serves several bodies, also after a shutdown") {
  for (const bool in_memory : {true, false}) {
    ThreadRanks ranks(4, in_memory, 20);
    for (int round = 0; round < 3; ++round)
      CHECK_NOTHROW(ranks.run([&](CommWorld& world) {
        world.create_groups({{0, 1}, {2, 3}, {0, 1, 2, 3}});
        at::Tensor value = full(2, 1);
        world.group(world.rank() < 2 ? std::vector{0, 1} : std::vector{2, 3}).all_reduce(value)->wait();
        expect(value, full(2, 2));
        if (round == 1) world.shutdown();
      }));
  }
}
