#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "trellis/plan/options.h"

using namespace trellis;
namespace fs = std::filesystem;

namespace {

// A folder of run files that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trellis_compose_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  const Folder& add(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return *this;
  }
  Options load(const std::string& name, const std::vector<std::string>& overrides = {}) const {
    return Options::load_run_file(path_ / name, overrides);
  }
  // What loading, or reading `key` as an integer, throws; the folder's own name is taken out.
  std::string error(const std::string& name, const std::vector<std::string>& overrides = {}) const {
    try {
      load(name, overrides).section("search").get("beam", 0);
      return "no error";
    } catch (const Error& error) {
      return plain(error.what());
    }
  }
  std::string plain(std::string text) const {
    const std::string prefix = path_.string() + "/";
    for (std::size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }
  fs::path path(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("a run file is laid over its bases, the later over the earlier") {
  Folder folder;
  folder.add("bases/one.yaml", "model: {layers: 12, hidden: 64, dims: [1, 2]}\nseed: 1\nname: one\n")
      .add("bases/two.yaml", "model: {hidden: 128}\nseed: 2\n")
      .add("run.yaml", "base: [bases/one.yaml, bases/two]\nmodel: {heads: 4, dims: [3]}\n");
  CHECK(folder.load("run.yaml").to_yaml() ==
        "model:\n  layers: 12\n  hidden: 128\n  dims: [3]\n  heads: 4\nseed: 2\nname: one\n");
}

TEST_CASE("every value keeps the file it was written in") {
  Folder folder;
  folder.add("base.yaml", "model: {layers: 12}\n").add("run.yaml", "base: base.yaml\nmodel: {heads: 4}\n");
  const Options model = folder.load("run.yaml", {"model.hidden=64"}).section("model");
  CHECK(folder.plain(format(model.mark("layers"))) == "base.yaml:1:17");
  CHECK(folder.plain(format(model.mark("heads"))) == "run.yaml:2:16");
  CHECK(folder.plain(format(model.mark("hidden"))) == "command line");
  CHECK(folder.plain(format(model.mark())) == "run.yaml:2:8");
}

TEST_CASE("bases have bases, and one base may be reached twice") {
  Folder folder;
  folder.add("root.yaml", "a: 1\nb: 1\n")
      .add("left.yaml", "base: root.yaml\na: 2\n")
      .add("right.yaml", "base: root.yaml\nb: 3\n")
      .add("run.yaml", "base: [left.yaml, right.yaml]\n");
  CHECK(folder.load("run.yaml").to_yaml() == "a: 1\nb: 3\n");
}

TEST_CASE("another plugin replaces the whole section, the same one is merged") {
  Folder folder;
  folder.add("base.yaml", "search: {use: beam, width: 8}\n")
      .add("other.yaml", "base: base.yaml\nsearch: {use: exact, limit: 1s}\n")
      .add("same.yaml", "base: base.yaml\nsearch: {use: beam, depth: 2}\n")
      .add("silent.yaml", "base: base.yaml\nsearch: {depth: 2}\n");
  CHECK(folder.load("other.yaml").to_yaml() == "search:\n  use: exact\n  limit: 1s\n");
  CHECK(folder.load("same.yaml").to_yaml() == "search:\n  use: beam\n  width: 8\n  depth: 2\n");
  CHECK(folder.load("silent.yaml").to_yaml() == "search:\n  use: beam\n  width: 8\n  depth: 2\n");
}

TEST_CASE("what belongs to the run stays when its section names another plugin") {
  Folder folder;
  folder.add("run.yaml",
             "search: {use: beam, width: 8, budget: 1GiB, margin: 20%, fix: {all: {tp: on}}, micro_batches: [4]}\n"
             "data: {use: text, files: [a], mask_share: 10%}\n");
  CHECK(folder.load("run.yaml", {"search.use=exact", "search.budget=2GiB"}).to_yaml() ==
        "search:\n  budget: 2GiB\n  margin: 20%\n  fix:\n    all:\n      tp: on\n  micro_batches: [4]\n  use: exact\n"
        "data:\n  use: text\n  files: [a]\n  mask_share: 10%\n");
  CHECK(folder.load("run.yaml", {"data.use=indexed"}).section("data").to_yaml() == "files: [a]\nuse: indexed\n");
  folder.add("masked.yaml", "data: {use: masked_text, format: indexed, whole_words: on, files: [a]}\n");
  CHECK(folder.load("masked.yaml", {"data.use=span_corruption"}).section("data").to_yaml() ==
        "format: indexed\nfiles: [a]\nuse: span_corruption\n");
}

TEST_CASE("of text, images keep what is held out and nothing else; of other images also how they are prepared") {
  Folder folder;
  folder.add("text.yaml", "data: {use: text, files: [a], tokenizer: byte, held_out: 10%}\n")
      .add("images.yaml", "data: {use: images, folder: a, size: 9, random_crop: {padding: 1}}\n");
  const auto data = [&](const char* file, const char* use) {
    return folder.load(file, {std::string("data.use=") + use}).section("data").to_yaml();
  };
  CHECK(data("text.yaml", "idx") == "held_out: 10%\nuse: idx\n");
  CHECK(data("images.yaml", "idx") == "size: 9\nrandom_crop:\n  padding: 1\nuse: idx\n");
  CHECK(data("images.yaml", "text") == "use: text\n");
}

TEST_CASE("on the command line another plugin drops the options of the section, in any order") {
  Folder folder;
  folder.add("run.yaml", "search: {use: beam, width: 8}\nseed: 1\n");
  CHECK(folder.load("run.yaml", {"search.use=exact"}).to_yaml() == "search:\n  use: exact\nseed: 1\n");
  CHECK(folder.load("run.yaml", {"search.use=beam"}).to_yaml() == "search:\n  use: beam\n  width: 8\nseed: 1\n");
  CHECK(folder.load("run.yaml", {"search.limit=1s", "search.use=exact"}).to_yaml() ==
        "search:\n  limit: 1s\n  use: exact\nseed: 1\n");
}

TEST_CASE("an override sets any value, the last one wins") {
  Folder folder;
  folder.add("run.yaml", "model: {layers: 12}\nckpt: full\n");
  CHECK(folder
            .load("run.yaml", {"model.layers=6", "model.layers=8", "ckpt.mode=full", "stages=[0-3, 4-7]",
                               "tp={degree: 2}", "name=\"\"", "a.b.c=x=y"})
            .to_yaml() ==
        "model:\n  layers: 8\nckpt:\n  mode: full\nstages: [0-3, 4-7]\ntp:\n  degree: 2\nname: \"\"\n"
        "a:\n  b:\n    c: x=y\n");
}

TEST_CASE("null on the command line takes away what files say") {
  Folder folder;
  folder.add("base.yaml", "data: {files: a, held_out: 5%}\nsearch: {use: exact, beam: 7}\n").add("run.yaml", "base: base\n");
  CHECK(folder.load("run.yaml", {"data.held_out=null"}).to_yaml() == "data:\n  files: a\nsearch:\n  use: exact\n  beam: 7\n");
  CHECK(folder.load("run.yaml", {"data={files: ~}", "search=~"}).to_yaml() == "data:\n  held_out: 5%\n");
  CHECK(folder.load("run.yaml", {"search.beam=3", "search.beam=null"}).section("search").get("beam", 1) == 1);
  CHECK(folder.error("run.yaml", {"search.bean=null"}) ==
        "command line: search.bean=null takes a key of the run file away, and it has none of that name\n"
        "    did you mean 'beam'?");
  CHECK(folder.error("run.yaml", {"seed=null"}) ==
        "command line: seed=null takes a key of the run file away, and it has none of that name\n    there are: data, search");
}

TEST_CASE("a mapping of another form replaces that of a base, one of the same form is merged") {
  Folder folder;
  folder.add("base.yaml", "data: {random_crop: {area: [0.5, 1]}}\nmodel: {rope_scaling: {type: llama3, factor: 8, low_freq_factor: 1}}\n")
      .add("run.yaml", "base: base\n");
  const auto keys = [&](const std::string& section, const std::string& key, const std::string& said) {
    return folder.load("run.yaml", {section + "." + key + "=" + said}).section(section).section(key).keys();
  };
  using Keys = std::vector<std::string>;
  CHECK(keys("data", "random_crop", "{padding: 4}") == Keys{"padding"});
  CHECK(keys("data", "random_crop", "{ratio: [1, 2]}") == Keys{"area", "ratio"});
  CHECK(keys("data", "random_crop", "{}") == Keys{"area"});
  CHECK(keys("model", "rope_scaling", "{type: linear, factor: 2}") == Keys{"type", "factor"});
  CHECK(keys("model", "rope_scaling", "{factor: 2}") == Keys{"type", "factor", "low_freq_factor"});
}

TEST_CASE("a wrong override is blamed on the command line") {
  Folder folder;
  folder.add("run.yaml", "search: {use: beam, beam: 8}\n");
  CHECK(folder.error("run.yaml") == "no error");
  CHECK(folder.error("run.yaml", {"search.beam=abc"}) == "command line: search.beam: expected an integer, found 'abc'");
  CHECK(folder.error("run.yaml", {"search.beam"}) ==
        "command line: 'search.beam' sets nothing\n    write key.path=value");
  CHECK(folder.error("run.yaml", {"search.beam="}) ==
        "command line: search.beam= has no value\n    an empty text is written '\"\"'");
  CHECK(folder.error("run.yaml", {"search.beam={a"}) ==
        "command line: search.beam={a: expected a plain key, found a mapping\n    is a bracket left open?");
  CHECK(folder.error("run.yaml", {"=1"}) ==
        "command line: an empty key in the path of an option\n    write key.path=value");
  CHECK(folder.error("run.yaml", {"search={beam: 1, beam: 2}"}) ==
        "command line: search={beam: 1, beam: 2}: the key 'beam' is written twice\n    first at command line:1:2");
}

TEST_CASE("bases in a circle are an error with the whole circle") {
  Folder folder;
  folder.add("a.yaml", "base: b.yaml\n").add("b.yaml", "x: 1\nbase: [c.yaml]\n").add("c.yaml", "base: ./a.yaml\n");
  CHECK(folder.error("a.yaml") ==
        "c.yaml:1:7: base: the files name each other in a circle\n    a.yaml -> b.yaml -> c.yaml -> a.yaml");
  folder.add("self.yaml", "base: self\n");
  CHECK(folder.error("self.yaml") ==
        "self.yaml:1:7: base: the files name each other in a circle\n    self.yaml -> self.yaml");
}

TEST_CASE("a file that is not there is blamed on the line that names it") {
  Folder folder;
  folder.add("run.yaml", "a: 1\nbase: [nowhere.yaml]\n").add("odd.yaml", "base: {x: 1}\n").add("none.yaml", "base:\n");
  CHECK(folder.error("run.yaml") == "run.yaml:2:8: base: cannot read 'nowhere.yaml': No such file or directory");
  CHECK(folder.error("odd.yaml") == "odd.yaml:1:7: base: expected the name of a file, found a mapping");
  CHECK(folder.error("none.yaml") == "none.yaml:1:1: base: expected the name of a file, found nothing");
  CHECK(folder.error("missing.yaml") == "cannot read 'missing.yaml': No such file or directory");
  fs::create_symlink("loop.yaml", folder.path("loop.yaml"));
  CHECK(folder.error("loop.yaml") == "cannot read 'loop.yaml': Too many levels of symbolic links");
  CHECK(folder.error("") == "cannot read '': Is a directory");
  try {
    Options::from_file(folder.path("missing.yaml"));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::io);
  }
}
