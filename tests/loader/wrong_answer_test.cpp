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
  has(Reckless().search("search.budget=8MiB search.margin=0"), ", the budget is 7.9 MiB");
}

TEST_CASE("a plan outside the space is refused, with what is outside") {
  const Reckless reckless;
  reckless.refused("search.breaks=choice",
                   "batch 24, 7 micro-batches, 1 stage, schedule 1f1b and atoms [");
  reckless.refused("search.breaks=devices", "it is for 4 devices, the problem has 2");
  reckless.refused("search.breaks=stages", "its stages have 5 layers, the model has 6");
  reckless.refused("search.breaks=overlap",
                   "stages follow one another from layer 0 on; found one of layers 0-5 where layer 6 is next");
  reckless.refused("search.breaks=layers", "it has 5 layers, the model has 6");
  reckless.refused("search.breaks=pin search.forbid=[ckpt]", "layer 2: 'ckpt full' is not a candidate");
  reckless.refused("search.breaks=degree", "layer 2: 'tp 3' is not a candidate");
  reckless.refused("search.breaks=dimension", "layer 2: 'time_travel 2' is not a candidate");
  reckless.refused("search.breaks=off", "layer 2: there is no dimension 'warp'");
  reckless.refused("search.breaks=setting", "layers[");
}

TEST_CASE("what a search proves of its plan must be possible") {
  const auto refused = [](const std::string& breaks, const std::string& claim) {
    const Reckless reckless;
    const Outcome outcome = reckless.search("search.breaks=" + breaks);
    CHECK(outcome.code == 5);
    has(outcome, "search 'reckless' claims what is not so: " + claim);
    has(outcome, "trellis plugins check reckless");
    CHECK_FALSE(std::filesystem::exists(reckless.plan()));
  };
  refused("proof", "its status is 'optimal, proven', and it gives no lower bound");
  refused("bound", "its lower bound is 9223372.04 s, and a plan takes ");
  refused("number", "its lower bound is nan s");
  refused("gap", "its status is 'optimal, proven', and its lower bound is 1.00 us where its plan takes ");
  refused("status", "its status is not one line of text");
}

TEST_CASE("a front is refused where a point of it is no answer, or claims what cannot be") {
  const auto swept = [](const std::string& breaks) {
    const Reckless reckless;
    Outcome outcome = reckless.search("--sweep memory=16MiB..1GiB 'search.breaks=" + breaks + "'");
    CHECK(std::filesystem::exists(reckless.plan()) == (outcome.code == 0));
    return outcome;
  };
  const auto refused = [&](const std::string& breaks, const std::string& reason) {
    CAPTURE(breaks);
    const Outcome outcome = swept(breaks);
    CHECK(outcome.code == 5);
    has(outcome, "search 'reckless' " + reason);
  };
  has(swept("nothing"), "in less than ");
  has(swept("nothing"), "search 'reckless' proves nothing of its answers");
  CHECK(swept("nothing").code == 0);
  refused("front budget", "returned a point of the front at 1.0 MiB that is no answer: stage 0 needs ");
  refused("front range", "returned a point of the front for another budget than where the one before ends");
  refused("front twice", "returned a front whose points are not slower and smaller from one to the next");
  refused("layers", "returned a point of the front at 972.8 MiB that is no answer: it has 5 layers, the model has 6");
  refused("bound", "claims of the front at 972.8 MiB what is not so: its lower bound is ");
  refused("gap", "claims of the front at 972.8 MiB what is not so: its status is 'optimal, proven', and its lower bound is ");
  refused("throws", "threw: vector::at");
}

TEST_CASE("what a search throws, and a crash in it, are told with its name") {
  const Outcome thrown = Reckless().search("search.breaks=throws");
  CHECK(thrown.code == 5);
  has(thrown, "search 'reckless' threw: vector::at\n    a defect of the plugin; trellis plugins check reckless");
  has(Reckless().search("search.breaks=crashes"), "trellis: crashed in search 'reckless' (signal 6)");
}

TEST_CASE("a misspelt option is found where the search forgets to look") {
  const Outcome outcome = Reckless().search("search.breaks=options search.beam_wdith=3");
  CHECK(outcome.code == 4);
  has(outcome, "search.beam_wdith");
}

TEST_CASE("a dimension that does not offer off is refused, and nothing is called proven") {
  const TemporaryFolder folder;
  folder.plugin("no_off", "no_off", "parallelism");
  const Outcome outcome =
      testing::trellis("--plugins " + folder.path().string() + " search configs/runs/quickstart.yaml --nproc 2");
  CHECK(outcome.code == 5);
  has(outcome, "dimension 'no_off' offers no setting 'off' for layer 'embedding'");
  CHECK(outcome.text.find("proven") == std::string::npos);
}

TEST_CASE("where another search finds nothing, the questions asked of exact show no progress of theirs") {
  const Outcome outcome = testing::trellis(
      "search configs/runs/quickstart.yaml --nproc 2 search.use=uniform search.budget=8MiB");
  CHECK(outcome.code == 3);
  CHECK(outcome.text.find("1 ps") == std::string::npos);
}

TEST_CASE("the section search has exact as its default") {
  const Outcome outcome =
      testing::trellis("search configs/runs/quickstart.yaml --nproc 2 search=null search.margin=3%");
  CHECK(outcome.code == 0);
  has(outcome, "optimal, proven");
}

}  // namespace
}  // namespace trellis
