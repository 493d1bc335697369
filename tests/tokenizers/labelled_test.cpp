#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/samples/labelled.h"
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

LabelledTexts read(const std::string& file, std::int64_t classes = 2, DataSection section = {}) {
  return read_labelled({file}, kMark, section, open_tokenizer("byte").get(), classes);
}

DataSection with_names() {
  DataSection section;
  section.text_key = "sentence";
  section.labels = {"bad", "good"};
  return section;
}

}  // namespace

TEST_CASE("labelled texts are read from columns and from JSON lines, by number or by name") {
  const ScratchFolder folder;
  const LabelledTexts tsv = read(folder.write("a.tsv", "\xEF\xBB\xBFid\ttext\tlabel\r\n0\tab\t1\r\n1\t\t0\r\n"));
  CHECK(tsv.tokens == std::vector<TokenId>{'a', 'b'});
  CHECK(tsv.ends == std::vector<std::size_t>{2, 2});
  CHECK(tsv.labels == Values{1, 0});
  const LabelledTexts named = read(folder.write("b.tsv", "sentence\tlabel\nx\tgood\ny\tbad"), 2, with_names());
  CHECK(named.labels == Values{1, 0});
  const LabelledTexts json = read(folder.write("c.jsonl", "{\"text\": \"a\\tb\", \"label\": 2}\n\n{\"label\": \"0\", \"text\": \"c\"}\n"), 3);
  CHECK(json.tokens == std::vector<TokenId>{'a', '\t', 'b', 'c'});
  CHECK(json.labels == Values{2, 0});
}

TEST_CASE("what is wrong in labelled texts is told with its file and line") {
  const ScratchFolder folder;
  const auto error = [&](const char* name, std::string_view text, DataSection section = {}) {
    const std::string file = folder.write(name, text), what = error_of([&] { read(file, 2, section); });
    return what.starts_with(file) ? what.substr(file.size()) : what;
  };
  CHECK(error("a.tsv", "text\tlabel\nx\t1\ny\t2\n") ==
        ":3:1: label 2 is out of range: the model has 2 classes, from 0 on\n    model.classes is how many there are");
  CHECK(error("a.tsv", "text\tlabel\nx\t-1\n").starts_with(":2:1: label -1 is out of range"));
  CHECK(error("a.tsv", "text\tlabel\nx\tgood\n") ==
        ":2:1: the label 'good' is no number\n    names of labels are listed in order: data.labels=[negative, positive]");
  CHECK(error("a.tsv", "text\tlabel\nx\n") == ":2:1: expected 2 columns, as the first line has, found 1");
  CHECK(error("a.tsv", "sentence\tlabel\nx\t1\n") ==
        ":1:1: there is no column 'text'\n    the first line names: sentence, label; data.text names another");
  CHECK(error("a.tsv", "sentence\tlabel\nx\tfine\n", with_names()) == ":2:1: the label 'fine' is none of data.labels: bad, good");
  CHECK(error("a.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\"}\n") ==
        ":2:1: there is no 'label'\n    data.label names another key");
  CHECK(error("a.jsonl", "{\"text\": \"a\", \"label\": 0.5}\n") == ":1:1: 'label' is neither a whole number nor a name");
  CHECK(error("a.jsonl", "{\"text\": 3, \"label\": 1}\n") == ":1:1: 'text' is no text");
  CHECK(error("a.jsonl", "[1]\n") == ":1:1: expected a JSON object in each line");
  CHECK(error("a.jsonl", "{\"text\": \n").starts_with(":1:"));
  CHECK(error("a.csv", "text,label\nx,1\n").starts_with("run.yaml:3:9: data.files: '"));
  CHECK(error("a.tsv", "text\tlabel\n").starts_with("run.yaml:3:9: data.files: no text in '"));
  CHECK(error("a.tsv", "").starts_with("run.yaml:3:9: data.files: no text in '"));
  DataSection three;
  three.labels = {"a", "b", "c"};
  CHECK(error("a.tsv", "text\tlabel\nx\ta\n", three) == "data.labels: 3 names, and the model has 2 classes");
  const std::string latin = folder.write("latin.tsv", "text\tlabel\ncaf\xe9\t1\n");
  const auto gpt2 = open_tokenizer("tests/tokenizers/golden/gpt2.json");
  CHECK(error_of([&] { read_labelled({latin}, kMark, {}, gpt2.get(), 2); }).starts_with(latin + ":2:1: this is not UTF-8 text"));
}
