// A search plugin whose plan breaks a rule is refused by name, with the rule, and nothing is written.
#include <doctest/doctest.h>

#include "loader/command_line.h"
#include "loader/temporary_folder.h"

namespace trellis {
namespace {

using testing::has;
using testing::Outcome;
using testing::TemporaryFolder;

struct Reckless {
  Reckless() { folder.plugin("reckless", "reckless"); }
  Outcome search(const std::string& options) const {
    return testing::trellis("--plugins " + folder.path().string() + " search configs/runs/quickstart.yaml --nproc 2 " +
                            "search.use=reckless --out " + plan().string() + " " + options);
  }
  std::filesystem::path plan() const { return folder.path() / "plan.yaml"; }
  void refused(const std::string& options, const std::string& rule) const {
    CAPTURE(options);
    const Outcome outcome = search(options);
    CHECK(outcome.code == 5);
    has(outcome, "search 'reckless' returned a plan that is no answer: " + rule);
    CHECK_FALSE(std::filesystem::exists(plan()));
  }
  TemporaryFolder folder;
};

TEST_CASE("the plan of a search that keeps the rules is taken") {
  const Reckless reckless;
  CHECK(reckless.search("").code == 0);
  CHECK(std::filesystem::exists(reckless.plan()));
}

TEST_CASE("a plan over the budget is refused, with stage, need and budget") {
  Reckless().refused("search.budget=8MiB", "stage 0 needs ");
  has(Reckless().search("search.budget=8MiB search.margin=0"), ", the budget is 8.0 MiB");
}

TEST_CASE("a plan outside the space is refused, with what is outside") {
  const Reckless reckless;
  reckless.refused("search.breaks=choice",
                   "batch 24, 7 micro-batches, 1 stages and schedule 1f1b are not among the choices");
  reckless.refused("search.breaks=devices", "it is for 4 devices, the problem has 2");
  reckless.refused("search.breaks=stages", "its stages have 5 layers, the model has 6");
  reckless.refused("search.breaks=overlap",
                   "stages follow one another from layer 0 on; found one of layers 0-5 where layer 6 is next");
  reckless.refused("search.breaks=layers", "it has 5 layers, the model has 6");
  reckless.refused("search.breaks=pin search.forbid=[ckpt]", "layer 2: 'ckpt full' is not a candidate");
  reckless.refused("search.breaks=degree", "layer 2: 'tp 3' is not a candidate");
  reckless.refused("search.breaks=dimension", "layer 2: 'time_travel 2' is not a candidate");
}

}  // namespace
}  // namespace trellis
