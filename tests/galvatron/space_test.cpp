#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cases.h"

namespace trellis::galvatron {
namespace {

std::string texts(const std::vector<Layout>& layouts) {
  std::vector<std::string> all;
  for (const Layout& layout : layouts) all.push_back(layout.text());
  return fmt::format("{}", fmt::join(all, " "));
}

Settings settings(std::vector<std::string> overrides = {}) { return Settings::read(section_of(kFixture, overrides)); }

TEST_CASE("eight GPUs have 50 layer and 25 vocabulary strategies, in the reference's order") {
  const Space space = make_space(settings());
  CHECK(space.vocabulary.size() == 25);
  CHECK(texts(space.layers) ==
        "1-1-8 1-1-8-c 1-1-8f 1-1-8f-c 1-2*-4-sp 1-2*-4-c-sp 1-2*-4f-sp 1-2*-4f-c-sp 1-4*-2-sp 1-4*-2-c-sp 1-4*-2f-sp "
        "1-4*-2f-c-sp 1-8*-1-sp 1-8*-1-c-sp 1-2*-4 1-2*-4-c 1-2*-4f 1-2*-4f-c 1-4*-2 1-4*-2-c 1-4*-2f 1-4*-2f-c 1-8*-1 "
        "1-8*-1-c 2-1-4 2-1-4-c 2-1-4f 2-1-4f-c 2-2*-2-sp 2-2*-2-c-sp 2-2*-2f-sp 2-2*-2f-c-sp 2-4*-1-sp 2-4*-1-c-sp "
        "2-2*-2 2-2*-2-c 2-2*-2f 2-2*-2f-c 2-4*-1 2-4*-1-c 4-1-2 4-1-2-c 4-1-2f 4-1-2f-c 4-2*-1-sp 4-2*-1-c-sp 4-2*-1 "
        "4-2*-1-c 8-1-1 8-1-1-c");
}

TEST_CASE("what is disabled is not in the space") {
  CHECK(texts(make_space(settings({"disable=[tp, sp, ckpt]", "max_pp=1"})).layers) == "1-1-8 1-1-8f");
  CHECK(texts(make_space(settings({"disable=[tp, sp, ckpt, zero3]", "max_pp=2", "default_dp=ddp"})).layers) ==
        "1-1-8 2-1-4");
  CHECK(texts(make_space(settings({"disable=[vocab_tp, vocab_sp]", "max_pp=1"})).vocabulary) == "1-1-8 1-1-8f");
}

TEST_CASE("searches go over micro-batches, stages, kinds and widths as the reference's loops do") {
  const Settings s = settings({"batch=4", "micro_batches=[1, 2, 3, 4]"});
  std::vector<std::string> tasks;
  for (const Task& t : make_tasks(s, make_space(s)))
    tasks.push_back(fmt::format("{}.{}.{}.{}", t.micro_batches, t.stages, name_of(t.mode), t.widest));
  // One micro-batch: dp is 4 at the most, so tp is 2 at the least. Three do not divide the batch.
  CHECK(fmt::format("{}", fmt::join(tasks, " ")) ==
        "1.1.tp_only.2 1.1.tp_only.4 1.1.tp_only.8 1.1.sp_only.8 1.1.tp_with_sp.2 1.1.tp_with_sp.4 1.1.tp_with_sp.8 "
        "2.1.tp_only.4 2.1.tp_only.8 2.1.sp_only.8 2.1.tp_with_sp.4 2.1.tp_with_sp.8 2.2.tp_only.2 2.2.tp_only.4 "
        "2.2.sp_only.4 2.2.tp_with_sp.2 2.2.tp_with_sp.4 4.1.tp_only.8 4.1.sp_only.8 4.1.tp_with_sp.8 4.2.tp_only.4 "
        "4.2.sp_only.4 4.2.tp_with_sp.4 4.4.tp_only.2 4.4.sp_only.2 4.4.tp_with_sp.2");
}

TEST_CASE("layers that do not divide go to the last stage") {
  CHECK(divide_evenly(30, 4) == std::vector<int>{7, 7, 7, 9});
  CHECK(divide_evenly(32, 1) == std::vector<int>{32});
}

}  // namespace
}  // namespace trellis::galvatron
