#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "data/indexed/indexed.h"
#include "data/samples/sentences.h"
#include "support/error_of.h"
#include "tokenizers/scratch_folder.h"
#include "trellis/plan/error.h"

using namespace trellis;
using namespace trellis::data;
using testing::ScratchFolder;

namespace {

using Values = std::vector<std::int64_t>;
const Mark kMark = {"run.yaml", 3, 9};

using trellis::test::error_of;

std::vector<Sentences> read(const std::vector<std::string>& files, const char* format = "text") {
  DataSection section;
  section.use = "sentence_pairs";
  section.format = format;
  section.files = files;
  section.mark = kMark;
  return read_sentences(section, *open_tokenizer("byte"));
}

}  // namespace

TEST_CASE("a line is a sentence; an empty one and the end of a file end a document") {
  const ScratchFolder folder;
  const std::string a = folder.write("a.txt", "one\n\n \ntwo\r\nthree"), b = folder.write("b.txt", "x\n");
  const Sentences s = read({a, b}).at(0);
  CHECK(s.ends == Values{3, 6, 11, 12});
  CHECK(s.documents == Values{1, 3, 4});
  CHECK(s.document_of(0) == 0);
  CHECK(s.document_of(2) == 1);
  CHECK(s.document_of(3) == 2);
  const auto [rest, kept] = s.split(0.5);
  CHECK(rest.ends == Values{3, 6});
  CHECK(rest.documents == Values{1, 2});
  CHECK(kept.ends == Values{5, 6});
  CHECK(kept.documents == Values{1, 2});
  Values first(5);
  kept.tokens->read(0, first);
  CHECK(first == Values{'t', 'h', 'r', 'e', 'e'});
  const std::string empty = folder.write("empty.txt", "\n\n");
  CHECK(error_of([&] { read({empty}); }) == fmt::format("run.yaml:3:9: data.files: no sentence in '{}'", empty));
}

TEST_CASE("sequences of indexed files are sentences") {
  const ScratchFolder folder;
  IndexedWriter writer(folder / "a", TokenType::u16);
  writer.add(std::vector<TokenId>{1, 2, 3});
  writer.add(std::vector<TokenId>{});
  writer.add(std::vector<TokenId>{4});
  writer.commit();
  const Sentences s = read({folder / "a"}, "indexed").at(0);
  CHECK(s.ends == Values{3, 4});
  CHECK(s.documents == Values{1, 2});
}
