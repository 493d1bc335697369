// Ctrl-C while a search is at work.
#include <doctest/doctest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "loader/command_line.h"
#include "loader/temporary_folder.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

using testing::has;
using testing::Outcome;
using testing::TemporaryFolder;

struct Interrupted {
  Interrupted() { folder.plugin("patient", "patient"); }
  Outcome search(const std::string& options) const {
    return testing::trellis("--plugins " + folder.path().string() + " search configs/runs/quickstart.yaml --nproc 2 " +
                            "search.use=patient --out " + plan().string() + " --json " + json().string() + " " + options);
  }
  std::filesystem::path plan() const { return folder.path() / "plan.yaml"; }
  std::filesystem::path json() const { return folder.path() / "search.json"; }
  TemporaryFolder folder;
};

TEST_CASE("a search that is stopped by a signal gives the best plan so far, and exit code 0") {
  for (const std::string signal : {"INT", "TERM"}) {
    const Interrupted stopped;
    const Outcome outcome = stopped.search("search.by=" + signal);
    CHECK(outcome.code == 0);
    has(outcome, "stopped: before its end: the best plan so far");
    CHECK(std::filesystem::exists(stopped.plan()));
    CHECK(nlohmann::json::parse(read_file(stopped.json()))["notes"]["stopped"] == "before its end: the best plan so far");
  }
}

TEST_CASE("a search that is stopped before it has a plan says so, with exit code 3 and no plan") {
  const Interrupted stopped;
  const Outcome outcome = stopped.search("search.finds=off");
  CHECK(outcome.code == 3);
  has(outcome, "stopped before a plan was found that fits");
  CHECK_FALSE(std::filesystem::exists(stopped.plan()));
  CHECK(nlohmann::json::parse(read_file(stopped.json()))["status"] == "nothing found");
}

TEST_CASE("a second signal ends the program at once") {
  const Interrupted stopped;
  const Outcome outcome = stopped.search("search.twice=on");
  CHECK(outcome.code != 0);
  CHECK(outcome.code != 3);
  CHECK_FALSE(std::filesystem::exists(stopped.plan()));
}

TEST_CASE("of searches that are compared, those not begun when the signal comes are left out") {
  const Interrupted stopped;
  const Outcome outcome = stopped.search("--compare patient,uniform");
  CHECK(outcome.code == 0);
  has(outcome, "not begun: stopped");
}

TEST_CASE("a sweep that is stopped prints the values that it has") {
  const Interrupted stopped;
  const Outcome outcome = stopped.search("--sweep batch=8,16");
  CHECK(outcome.code == 0);
  has(outcome, "stopped: further values were not asked for");
  has(outcome, "1 solve in");
}

TEST_CASE("explain --what-if that is stopped tells what was answered and what is missing, with exit code 0") {
  TemporaryFolder folder;
  const std::string plan = (folder.path() / "plan.yaml").string(), json = (folder.path() / "explain.json").string();
  CHECK(testing::trellis("search configs/runs/quickstart.yaml --nproc 2 search.stages=1 --out " + plan).code == 0);
  folder.plugin("interrupting", "interrupting", "parallelism");
  const Outcome outcome = testing::trellis("--plugins " + folder.path().string() + " explain " + plan +
                                           " --run configs/runs/quickstart.yaml --what-if --json " + json);
  CHECK(outcome.code == 0);
  has(outcome, "not asked: stopped");
  has(outcome, "stopped; not answered: ");
  has(outcome, "memory, from the best plan known");
  CHECK(outcome.text.find(", proven)\n    without limit") == std::string::npos);
  const nlohmann::json told = nlohmann::json::parse(read_file(json))["what_if"];
  CHECK(told["not_answered"].size() >= 2);
  CHECK(told["not_answered"].back() == "the price of memory");
  CHECK(told["price_of_memory"]["more_is_proven"] == false);
  const Outcome whole = testing::trellis("explain " + plan + " --run configs/runs/quickstart.yaml --what-if --json " + json);
  CHECK(whole.code == 0);
  CHECK(whole.text.find("stopped") == std::string::npos);
  CHECK(nlohmann::json::parse(read_file(json))["what_if"]["not_answered"].empty());
}

TEST_CASE("trellis run passes a signal on to its search, leaves the plan so far and does not train") {
  const Interrupted stopped;
  setenv("TRELLIS_ALLOW_SLOW", "1", 1);  // what is measured does not matter here
  const std::string run = (stopped.folder.path() / "run").string();
  const Outcome outcome = testing::trellis(
      "--plugins " + stopped.folder.path().string() + " run configs/runs/quickstart.yaml --nproc 1 model.layers=1 " +
      "model.hidden=32 model.heads=2 train.batch=2 search.micro_batches=1 'search.forbid=[ckpt, zero]' " +
      "search.use=patient search.from_parent=on search.by=TERM output=" + run +
      " profile.file=" + run + ".profile.yaml");
  if (outcome.text.find("has no run side") != std::string::npos) return;
  CHECK(outcome.code != 0);
  has(outcome, "stopped: " + run + "/searched.yaml has the best plan so far");
  CHECK(std::filesystem::exists(run + "/searched.yaml"));
  CHECK_FALSE(std::filesystem::exists(run + "/result.json"));
}

}  // namespace
}  // namespace trellis
