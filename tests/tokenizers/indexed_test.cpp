#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "data/indexed/indexed.h"
#include "data/indexed/tokenize_files.h"
#include "support/paths.h"
#include "tokenizers/scratch_folder.h"

using namespace trellis;
using namespace trellis::data;
using trellis::testing::error_of;

namespace {

using Values = std::vector<std::int64_t>;

void write(const std::filesystem::path& prefix, TokenType type, const std::vector<std::vector<TokenId>>& documents) {
  IndexedWriter writer(prefix, type);
  for (const auto& document : documents) writer.add(document);
  writer.commit();
}

Values all(const IndexedFile& file) {
  Values values(static_cast<std::size_t>(file.tokens()));
  file.read(0, values);
  return values;
}

template <class Number>
void put(std::string& to, std::size_t at, Number value) {
  std::memcpy(to.data() + at, &value, sizeof value);
}

constexpr std::size_t kCode = 17, kSequences = 18, kBorders = 26, kLengths = 34;  // places in an .idx

}  // namespace

TEST_CASE("what is written is read, document by document, in every type of token") {
  const testing::ScratchFolder folder;
  for (const TokenType type :
       {TokenType::u8, TokenType::u16, TokenType::i32, TokenType::i64, TokenType::i16, TokenType::i8}) {
    write(folder / "a", type, {{1, 2, 3}, {}, {100, 5}});
    const IndexedFile file(folder / "a.bin");
    CHECK(file.type() == type);
    CHECK(file.documents() == 3);
    CHECK(file.sequences() == 3);
    CHECK(all(file) == Values{1, 2, 3, 100, 5});
    CHECK(file.length(2) == 2);
    CHECK(file.first_sequence(3) == 3);
  }
  CHECK(folder.files() == 2);
}

TEST_CASE("the bytes are those of Megatron-LM's own writer") {
  const testing::ScratchFolder folder;
  write(folder / "a", TokenType::u16, {{1, 513}, {3}});
  using namespace std::string_literals;
  CHECK(read_file(folder / "a.bin") == "\x01\x00\x01\x02\x03\x00"s);
  CHECK(read_file(folder / "a.idx") == "MMIDIDX\0\0"s + "\1\0\0\0\0\0\0\0"s + "\x08"s + "\2\0\0\0\0\0\0\0"s +
                                           "\3\0\0\0\0\0\0\0"s + "\2\0\0\0\1\0\0\0"s +
                                           "\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"s +
                                           "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"s);
}

TEST_CASE("a type of token is chosen by the vocabulary") {
  CHECK(type_for(65499) == TokenType::u16);
  CHECK(type_for(65500) == TokenType::i32);
}

TEST_CASE("an index that is not as the writer leaves it is refused with what is wrong") {
  const testing::ScratchFolder folder;
  write(folder / "a", TokenType::u16, {{1, 2, 3}, {4}});
  const std::string good = read_file(folder / "a.idx");
  const auto refused = [&](const std::string& idx) {
    folder.write("a.idx", idx);
    return error_of([&] { IndexedFile file(folder / "a"); });
  };
  const auto with = [&](std::size_t at, auto value) {
    std::string idx = good;
    put(idx, at, value);
    return refused(idx);
  };
  CHECK(refused("") == "4 a.idx no index of indexed files: it does not begin with MMIDIDX");
  CHECK(refused("TNTIDX\0\0") == "4 a.idx an index of the old kind (cached, lazy), which is not supported");
  CHECK(refused(good.substr(0, 20)) == "4 a.idx its header has 34 bytes, and the file has 20");
  CHECK(refused(good.substr(0, good.size() - 1))
            .starts_with("4 a.idx 2 sequences and 3 borders of documents need more than the 47 bytes"));
  CHECK(refused(good + "x") == "4 a.idx 1 bytes at its end belong to nothing");
  CHECK(refused(good + "xx") == "4 a.idx its sequences have modes, which are not supported");
  CHECK(with(9, std::uint64_t{2}) == "4 a.idx version 2 is not supported");
  CHECK(with(kCode, std::uint8_t{0}) == "4 a.idx unknown code 0 of the tokens' type");
  CHECK(with(kCode, std::uint8_t{9}) == "4 a.idx unknown code 9 of the tokens' type");
  CHECK(with(kCode, std::uint8_t{7}) == "4 a.idx its tokens are floating-point numbers");
  CHECK(with(kCode, std::uint8_t{4}) ==
        "4 a.idx sequence 1 begins at byte 6 of the .bin; expected 12, where the one before ends");
  CHECK(with(kSequences, ~std::uint64_t{0})
            .starts_with("4 a.idx 18446744073709551615 sequences and 3 borders of documents need more"));
  CHECK(with(kBorders, std::uint64_t{0}) == "4 a.idx 24 bytes at its end belong to nothing");
  CHECK(with(kLengths, std::int32_t{-1}) == "4 a.idx sequence 0 has the length -1");
  CHECK(with(kLengths, std::int32_t{2}) ==
        "4 a.idx sequence 1 begins at byte 6 of the .bin; expected 4, where the one before ends");
  CHECK(with(kLengths + 4, std::int32_t{9}) == "4 a.idx it has 24 bytes of tokens (u16), and the .bin has 8");
  CHECK(with(kLengths + 8 + 16, std::int64_t{1}) == "4 a.idx document 0 begins at sequence 1; expected 0");
  CHECK(with(kLengths + 8 + 24, std::int64_t{-5}) == "4 a.idx document 1 begins at sequence -5; expected 0 or more");
  CHECK(with(kLengths + 8 + 32, std::int64_t{7}) == "4 a.idx its documents end at sequence 7, and there are 2");
}

TEST_CASE("two files that belong to different texts, or one of them alone, are refused") {
  const testing::ScratchFolder folder;
  write(folder / "a", TokenType::u16, {{1, 2, 3}});
  write(folder / "b", TokenType::u16, {{1, 2, 3, 4}});
  std::filesystem::copy_file(folder / "b.bin", folder / "a.bin", std::filesystem::copy_options::overwrite_existing);
  CHECK(error_of([&] { IndexedFile file(folder / "a"); }) ==
        "4 a.idx it has 6 bytes of tokens (u16), and the .bin has 8");
  std::filesystem::remove(folder / "a.bin");
  CHECK(error_of([&] { IndexedFile file(folder / "a"); }) ==
        "7  there is no file '" + (folder / "a.bin").string() + "'");
  std::filesystem::remove(folder / "b.idx");
  CHECK(error_of([&] { IndexedFile file(folder / "b.bin"); }) ==
        "7  there is no file '" + (folder / "b.idx").string() + "'");
}

TEST_CASE("a writer that is not committed leaves nothing, and what stood there before stays") {
  const testing::ScratchFolder folder;
  write(folder / "a", TokenType::u16, {{7}});
  {
    IndexedWriter writer(folder / "a", TokenType::u16);
    writer.add(std::vector<TokenId>{1, 2});
  }
  CHECK(folder.files() == 2);
  CHECK(all(IndexedFile(folder / "a")) == Values{7});
  const std::filesystem::path below = folder / "a.bin/none/a";
  CHECK(error_of([&] { IndexedWriter writer(below, TokenType::u16); }) ==
        "7  cannot make folder '" + below.parent_path().string() + "': Not a directory");
}

TEST_CASE("the folder of indexed files is made where it is missing") {
  const testing::ScratchFolder folder;
  write(folder / "some/where/a", TokenType::u16, {{7}});
  CHECK(all(IndexedFile(folder / "some/where/a")) == Values{7});
}

// --- text to indexed files ---

namespace {

TokenizeJob job(const testing::ScratchFolder& folder, std::vector<std::string> files,
                TokenizeJob::Documents documents) {
  TokenizeJob job;
  for (const std::string& file : files) job.files.push_back(folder / file);
  job.documents = documents;
  job.tokenizer = open_tokenizer("byte");
  job.end = 256;
  job.threads = 2;
  job.prefix = folder / "out";
  return job;
}

TokenizeResult run(const TokenizeJob& job) {
  return tokenize_files(job, [](std::int64_t, std::int64_t) {});
}

using Documents = TokenizeJob::Documents;

}  // namespace

TEST_CASE("files, lines or JSON lines become documents; empty ones are left out and counted") {
  const testing::ScratchFolder folder;
  folder.write("a.txt", "ab\n\nc\r\n");
  folder.write("empty.txt", "");
  folder.write("b.jsonl", "{\"text\": \"x\\u00e9\", \"id\": 1}\n\n{\"text\": \"\"}\n{\"id\": 2, \"text\": \"y\"}");
  TokenizeResult result = run(job(folder, {"a.txt", "empty.txt"}, Documents::files));
  CHECK(all(IndexedFile(folder / "out")) == Values{'a', 'b', '\n', '\n', 'c', '\r', '\n', 256});
  CHECK(result.documents == 1);
  CHECK(result.empty == 1);
  CHECK(result.tokens == 8);
  CHECK(result.bytes == 7);
  result = run(job(folder, {"a.txt"}, Documents::lines));
  CHECK(all(IndexedFile(folder / "out")) == Values{'a', 'b', 256, 'c', 256});
  CHECK(result.empty == 1);
  result = run(job(folder, {"b.jsonl"}, Documents::json_lines));
  CHECK(all(IndexedFile(folder / "out")) == Values{'x', 0xC3, 0xA9, 256, 'y', 256});
  CHECK(result.empty == 2);
}

TEST_CASE("the files are the same whatever the number of threads") {
  const testing::ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 30000; ++i) text += "line " + std::to_string(i * i % 977) + " of a long text\n";
  folder.write("a.txt", text);
  std::string bin, idx;
  for (const int threads : {1, 2, 5}) {
    TokenizeJob lines = job(folder, {"a.txt", "a.txt"}, Documents::lines);
    lines.tokenizer = open_tokenizer(testing::source_dir() / "tests/tokenizers/golden/gpt2.json");
    lines.end = 0;
    lines.threads = threads;
    CHECK(run(lines).documents == 60000);
    if (threads == 1) bin = read_file(folder / "out.bin"), idx = read_file(folder / "out.idx");
    CHECK(read_file(folder / "out.bin") == bin);
    CHECK(read_file(folder / "out.idx") == idx);
  }
}

TEST_CASE("a document that cannot be read stops the work with its place, and nothing is written") {
  const testing::ScratchFolder folder;
  const auto refused = [&](const std::string& text, Documents documents, const char* tokenizer = "byte") {
    folder.write("a.jsonl", text);
    TokenizeJob lines = job(folder, {"a.jsonl"}, documents);
    if (std::string(tokenizer) != "byte") lines.tokenizer = open_tokenizer(testing::source_dir() / tokenizer);
    const std::string error = error_of([&] { run(lines); });
    CHECK(folder.files() == 1);
    return error;
  };
  CHECK(refused("{\"text\": \"a\"}\n{\"text\": \n", Documents::json_lines) ==
        "4 a.jsonl:2:10 not JSON: it ends in the middle");
  CHECK(refused("{\"text\": \"a\"}\n[1]\n", Documents::json_lines) ==
        "4 a.jsonl:2:1 expected a JSON object in each line");
  CHECK(refused("{\"txt\": \"a\"}", Documents::json_lines) == "4 a.jsonl:1:1 there is no 'text'");
  CHECK(refused("{\"text\": 5}", Documents::json_lines) == "4 a.jsonl:1:1 'text' is no text");
  CHECK(refused("{\"text\": \"\xff\"}", Documents::json_lines).starts_with("4 a.jsonl:1:11 not JSON"));
  CHECK(refused("\n  \n", Documents::json_lines) == "4  no text in '" + (folder / "a.jsonl").string() + "'");
  const char* gpt2 = "tests/tokenizers/golden/gpt2.json";
  CHECK(refused("good\nbad \xfe\n", Documents::lines, gpt2) == "4 a.jsonl:2:5 this is not UTF-8 text: byte 0xFE");
  CHECK(refused("good\nbad \xfe\n", Documents::files, gpt2) == "4 a.jsonl:2:5 this is not UTF-8 text: byte 0xFE");
}
