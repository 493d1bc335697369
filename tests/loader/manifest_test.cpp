#include "plan/plugin/manifest.h"

#include <doctest/doctest.h>

#include "loader/temporary_folder.h"

namespace trellis::plugin {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

const std::string kSmallest =
    "apiVersion: trellis/v1\nkind: Plugin\ntype: search\nname: good\nversion: 1.0.0\nlibrary: good.so\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST_CASE("the smallest manifest has defaults for the rest") {
  const TemporaryFolder folder;
  const PluginManifest manifest = read_manifest(folder.write("plugin.yaml", kSmallest));
  CHECK(manifest.type == PluginType::search);
  CHECK(manifest.name == "good");
  CHECK(manifest.version == "1.0.0");
  CHECK(manifest.library == folder.path() / "good.so");
  CHECK(manifest.run_library.empty());
  CHECK(manifest.status == "stable");
  CHECK(manifest.summary.empty());
}

TEST_CASE("a manifest may name a run library, a status, a summary and hashes") {
  const TemporaryFolder folder;
  const PluginManifest manifest = read_manifest(folder.write(
      "plugin.yaml", kSmallest + "run_library: run/good.so\nstatus: experimental\nsummary: Finds nothing.\nsha256: " +
                         std::string(64, 'a') + "\nrun_sha256: " + std::string(64, 'b') + "\n"));
  CHECK(manifest.run_library == folder.path() / "run/good.so");
  CHECK(manifest.status == "experimental");
  CHECK(manifest.summary == "Finds nothing.");
  CHECK(manifest.sha256 == std::string(64, 'a'));
  CHECK(manifest.run_sha256 == std::string(64, 'b'));
}

TEST_CASE("a wrong manifest is refused with the place and what was expected") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    const Error error = error_of([&] { read_manifest(folder.write("plugin.yaml", text)); });
    CHECK(error.code() == ExitCode::bad_input);
    CHECK(error.mark().file == folder.path() / "plugin.yaml");
    return error.message() + " | " + error.hint();
  };
  CHECK(message(replaced(kSmallest, "trellis/v1", "trellis/v2")) ==
        "apiVersion: expected trellis/v1, found 'trellis/v2' | did you mean 'trellis/v1'?");
  CHECK(message(replaced(kSmallest, "kind: Plugin", "kind: Plan")) ==
        "kind: expected Plugin, found 'Plan' | allowed: Plugin");
  CHECK(message(replaced(kSmallest, "type: search", "type: serach")) ==
        "type: expected parallelism or models or search, found 'serach' | did you mean 'search'?");
  CHECK(message(replaced(kSmallest, "name: good", "name: Good-1")) ==
        "name: 'Good-1' is not a plugin name | lower-case letters, digits and underscores, a letter first");
  CHECK(message(kSmallest + "sha256: 1234\n") ==
        "sha256: expected 64 lower-case hex digits, found '1234' | sha256sum FILE prints them");
  CHECK(message(kSmallest + "status: great\n") ==
        "status: expected stable or experimental or example, found 'great' | allowed: stable, experimental, example");
  CHECK(message(kSmallest + "licence: MIT\n").starts_with("licence: unknown option"));
  CHECK(message(replaced(kSmallest, "version: 1.0.0\n", "")).find("version") != std::string::npos);
}

}  // namespace
}  // namespace trellis::plugin
