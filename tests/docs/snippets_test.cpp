// The documents against the repository: a snippet that names a file stands in that file, and a link leads somewhere.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "support/paths.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

fs::path root() { return testing::source_dir(); }

std::vector<fs::path> documents() {
  std::vector<fs::path> found{root() / "README.md", root() / "CONTRIBUTING.md",
                              root() / "core/include/trellis/plan/README.md"};
  for (const auto& entry : fs::directory_iterator(root() / "docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  return found;
}

Lines lines_of(const fs::path& file) {
  std::istringstream text(read_file(file));
  Lines lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

Lines outside_of_blocks(const Lines& document) {
  Lines prose;
  bool inside = false;
  for (const std::string& line : document) {
    if (line.starts_with("```")) inside = !inside;
    else if (!inside) prose.push_back(line);
  }
  return prose;
}

bool contains(const Lines& file, const Lines& part) {
  return std::search(file.begin(), file.end(), part.begin(), part.end()) != file.end();
}

// `<!-- from PATH -->`, then a fenced block.
struct Snippet {
  std::string path;
  Lines lines;
};
std::vector<Snippet> snippets(const Lines& document) {
  static const std::regex kFrom("<!-- from (\\S+) -->");
  std::vector<Snippet> found;
  std::smatch match;
  for (std::size_t i = 0; i < document.size(); ++i) {
    if (!std::regex_match(document[i], match, kFrom)) continue;
    Snippet& snippet = found.emplace_back();
    snippet.path = match[1];
    const bool fenced = i + 1 < document.size() && document[i + 1].starts_with("```");
    CHECK_MESSAGE(fenced, "no fenced block follows ", document[i]);
    for (i += 2; fenced && i < document.size() && document[i] != "```"; ++i) snippet.lines.push_back(document[i]);
  }
  return found;
}

}  // namespace

TEST_CASE("every snippet of the documents that names a file stands in that file, line by line") {
  int checked = 0;
  for (const fs::path& document : documents())
    for (const Snippet& snippet : snippets(lines_of(document))) {
      INFO(document.string(), ": the snippet from ", snippet.path);
      CHECK(!snippet.lines.empty());
      CHECK(contains(lines_of(root() / snippet.path), snippet.lines));
      ++checked;
    }
  CHECK(checked >= 8);
}

TEST_CASE("every link of the documents to a file leads to one") {
  static const std::regex kLink("\\]\\(([^)#]+)(#[^)]*)?\\)");
  for (const fs::path& document : documents())
    for (const std::string& line : outside_of_blocks(lines_of(document)))
      for (std::sregex_iterator link(line.begin(), line.end(), kLink), end; link != end; ++link) {
        const std::string target = (*link)[1];
        if (target.starts_with("http")) continue;
        INFO(document.string(), ": ", target);
        CHECK(fs::exists(document.parent_path() / target));
      }
}

TEST_CASE("the guide to the SDK names every header") {
  const std::string guide = read_file(root() / "core/include/trellis/plan/README.md");
  for (const char* room : {"plan", "run"})
    for (const auto& entry : fs::directory_iterator(root() / "core/include/trellis" / room)) {
      const std::string name = entry.path().filename();
      if (entry.path().extension() != ".h") continue;
      INFO(room, "/", name);
      CHECK(guide.find(std::string(room) == "run" ? "../run/" + name : "`" + name + "`") != std::string::npos);
    }
}

}  // namespace trellis
