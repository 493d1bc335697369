#include "trellis/plan/catalog.h"

#include <doctest/doctest.h>

#include <thread>

#include "loader/temporary_folder.h"

namespace trellis {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::TemporaryFolder;

Catalog catalog_of(const TemporaryFolder& folder) { return Catalog::of(std::vector{folder.path()}); }

// A variable of the environment for as long as a test needs it.
struct PluginPath {
  explicit PluginPath(const std::string& value) { setenv("TRELLIS_PLUGIN_PATH", value.c_str(), 1); }
  ~PluginPath() { unsetenv("TRELLIS_PLUGIN_PATH"); }
};

TEST_CASE("plugins are found in a folder, one and two levels below it, and no deeper") {
  const TemporaryFolder folder;
  folder.plugin("one", "good", "search", "one");
  folder.plugin("search/two", "good", "search", "two");
  folder.plugin("search/deep/three", "good", "search", "three");
  CHECK(catalog_of(folder).names(PluginType::search) == std::vector<std::string>{"one", "two"});
  CHECK(Catalog::of(std::vector{folder.path() / "one"}).names(PluginType::search) == std::vector<std::string>{"one"});
}

TEST_CASE("listing does not load code") {
  const TemporaryFolder folder;
  folder.plugin("crashes", "crashes");
  const Catalog catalog = catalog_of(folder);
  CHECK(catalog.plugins().size() == 1);
  CHECK(catalog.manifest(PluginType::search, "crashes").library == folder.path() / "crashes/fake.so");
}

TEST_CASE("a plugin is loaded once and the same object is given to all, threads too") {
  const TemporaryFolder folder;
  folder.plugin("good", "good");
  const Catalog catalog = catalog_of(folder);
  std::vector<std::shared_ptr<const SearchAlgorithm>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& object : found) threads.emplace_back([&] { object = catalog.search("good"); });
  }
  CHECK(found[0] != nullptr);
  for (const auto& object : found) CHECK(object == found[0]);
  const Catalog copy = catalog;
  CHECK(copy.search("good") == found[0]);
}

TEST_CASE("a name that nobody has is an error at its place, with a suggestion, what was found and where") {
  const TemporaryFolder folder;
  folder.plugin("exact", "good", "search", "exact");
  folder.plugin("uniform", "good", "search", "uniform");
  const Error error = error_of([&] {
    catalog_of(folder).search("exakt", {"configs/runs/gpt.yaml", 21, 14}, "search.use");
  });
  CHECK(error.code() == ExitCode::plugin);
  const std::string where = folder.path().lexically_proximate(fs::current_path()).string();
  CHECK(std::string(error.what()) ==
        "configs/runs/gpt.yaml:21:14: search.use: no search plugin named 'exakt'\n"
        "    did you mean 'exact'?   found: exact, uniform   (searched 1 folder: " +
            where + ")");
  CHECK(error_of([&] { catalog_of(folder).family("gpt"); }).hint() ==
        "no model plugin was found   (searched 1 folder: " + where + ")");
}

TEST_CASE("two plugins of one type and name are an error that names both files") {
  const TemporaryFolder a, b;
  a.plugin("x", "good");
  b.plugin("y", "good");
  const Error error = error_of([&] { Catalog::of(std::vector{a.path(), b.path()}); });
  CHECK(error.message() == "there are two plugins search 'good'");
  const std::string text = error.what();
  CHECK(text.find((a.path() / "x/plugin.yaml").string()) != std::string::npos);
  CHECK(text.find((b.path() / "y/plugin.yaml").string()) != std::string::npos);
}

TEST_CASE("one folder reached twice, by a link or from its parent, is no double") {
  const TemporaryFolder folder;
  folder.plugin("search/good", "good");
  fs::create_directory_symlink(folder.path() / "search", folder.path() / "link");
  const Catalog catalog = Catalog::of(std::vector{folder.path(), folder.path() / "search", folder.path() / "link"});
  CHECK(catalog.plugins().size() == 1);
  CHECK(catalog.folders().size() == 2);
}

TEST_CASE("plugins of different types may share a name") {
  const TemporaryFolder folder;
  folder.plugin("a", "good", "search", "good");
  folder.plugin("b", "good", "models", "good");
  CHECK(catalog_of(folder).plugins().size() == 2);
}

TEST_CASE("a library must be what its manifest says") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& name, PluginType type = PluginType::search) {
    const Catalog catalog = catalog_of(folder);
    return error_of([&] {
             if (type == PluginType::models) catalog.family(name);
             else catalog.search(name);
           })
        .message();
  };
  folder.plugin("kind", "good", "models");
  CHECK(message("good", PluginType::models) ==
        "expected it to register 1 model, as its manifest says; it registered 1 search");
  folder.plugin("name", "good", "search", "better");
  CHECK(message("better") == "the library says that it is 'good', its manifest that it is 'better'");
  folder.plugin("number", "two_objects");
  CHECK(message("two_objects") == "expected it to register 1 search, as its manifest says; it registered 2 search");
  folder.plugin("hash", "throws", "search", "throws", "sha256: " + std::string(64, '0') + "\n");
  CHECK(message("throws").starts_with("its sha256 is "));
}

TEST_CASE("TRELLIS_PLUGIN_PATH is a list of folders, all of which must exist") {
  const TemporaryFolder a, b;
  a.plugin("x", "good", "search", "from_a");
  b.plugin("y", "good", "search", "from_b");
  {
    const PluginPath path(a.path().string() + "::" + b.path().string());
    const Catalog catalog;
    const std::vector<std::string> names = catalog.names(PluginType::search);
    CHECK(std::count(names.begin(), names.end(), "from_a") == 1);
    CHECK(std::count(names.begin(), names.end(), "from_b") == 1);
  }
  const PluginPath path("/nowhere/at/all");
  CHECK(error_of([] { Catalog(); }).message() == "TRELLIS_PLUGIN_PATH: there is no folder '/nowhere/at/all'");
}

TEST_CASE("the plugins of this build are found without being told where") {
  const fs::path folder = testing::build_dir() / "plugins";
  if (!fs::exists(folder)) return;  // a build without plugins
  CHECK(own_plugin_folder() == fs::canonical(folder));
}

TEST_CASE("a broken manifest is an error that names it") {
  const TemporaryFolder folder;
  folder.write("x/plugin.yaml", "apiVersion: trellis/v1\nkind: Plugin\nname: [\n");
  CHECK(error_of([&] { catalog_of(folder); }).mark().file == folder.path() / "x/plugin.yaml");
}

}  // namespace
}  // namespace trellis
