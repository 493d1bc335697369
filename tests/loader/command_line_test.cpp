// The command line as a user starts it: exit codes and messages of `trellis plugins`.
#include <doctest/doctest.h>

#include "loader/command_line.h"
#include "loader/temporary_folder.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

using testing::has;
using testing::Outcome;
using testing::TemporaryFolder;
using testing::trellis;

TEST_CASE("help and version succeed, and the version shows the fingerprint") {
  CHECK(trellis("--help").code == 0);
  CHECK(trellis("plugins check --help").code == 0);
  const Outcome version = trellis("--version");
  CHECK(version.code == 0);
  has(version, "trellis_abi_1_");
}

TEST_CASE("a mistake on the command line is code 2, with what was meant") {
  const Outcome verb = trellis("plugin");
  CHECK(verb.code == 2);
  CHECK(verb.text ==
        "trellis: 'plugin' is not a verb of 'trellis'\n    did you mean 'plugins'?   see trellis --help\n");
  const Outcome flag = trellis("plugins list --jsno x");
  CHECK(flag.code == 2);
  has(flag, "did you mean '--json'?   see trellis plugins list --help");
  CHECK(trellis("").code == 2);
  CHECK(trellis("plugins list --log loud").code == 2);
}

TEST_CASE("list shows the plugins of a folder, also as a file") {
  const TemporaryFolder folder;
  folder.plugin("good", "good", "search", "good", "summary: Finds nothing.\n");
  const std::string file = (folder.path() / "list.json").string();
  const Outcome outcome = trellis("--plugins " + folder.path().string() + " plugins list --json " + file);
  CHECK(outcome.code == 0);
  has(outcome, "good");
  has(outcome, "Finds nothing.");
  CHECK(read_file(file).find("\"name\": \"good\"") != std::string::npos);
}

TEST_CASE("show loads the plugin; one that is missing is code 5 with a suggestion") {
  const TemporaryFolder folder;
  folder.plugin("good", "good");
  const std::string plugins = "--plugins " + folder.path().string() + " ";
  CHECK(trellis(plugins + "plugins show good").code == 0);
  const Outcome outcome = trellis(plugins + "plugins show goood");
  CHECK(outcome.code == 5);
  has(outcome, "trellis: no plugin named 'goood'\n    did you mean 'good'?");
}

TEST_CASE("check names the rules that a plugin breaks") {
  const TemporaryFolder folder;
  const Outcome outcome = trellis("plugins check " + folder.copy_fake("good", "fake.so").string());
  CHECK(outcome.code == 5);
  has(outcome, "it finds a plan of the problem where memory is ample");
  has(outcome, "BROKEN\n      it found nothing");
}

TEST_CASE("check survives a plugin that crashes and says by which signal, and where") {
  const TemporaryFolder folder;
  const Outcome outcome = trellis("plugins check " + folder.copy_fake("crashes", "fake.so").string());
  CHECK(outcome.code == 5);
  has(outcome, "it can be loaded and registers");
  has(outcome, "it crashed: Aborted (signal 6)");
}

TEST_CASE("check refuses what is no plugin, and what is not there") {
  const TemporaryFolder folder;
  const Outcome text = trellis("plugins check " + folder.write("fake.so", "text").string());
  CHECK(text.code == 5);
  has(text, "this is not a shared library (not an ELF file)");
  const Outcome missing = trellis("plugins check /nowhere/fake.so");
  CHECK(missing.code == 7);
  has(missing, "there is no file '/nowhere/fake.so'");
  CHECK(trellis("plugins check no_such_plugin").code == 5);
}

}  // namespace
}  // namespace trellis
