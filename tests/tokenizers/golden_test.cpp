#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "support/paths.h"
#include "tokenizers/scratch_folder.h"
#include "trellis/plan/files.h"

using namespace trellis;
using namespace trellis::data;

namespace {

const std::filesystem::path kGolden = testing::source_dir() / "tests/tokenizers/golden";

std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<TokenId> tokens;
  tokenizer.encoder()->encode(text, "text", tokens);
  return tokens;
}

}  // namespace

TEST_CASE("tokenizers of every kind make the tokens that the public packages make of hard texts") {
  const auto expected = nlohmann::json::parse(read_file(kGolden / "expected.json"));
  int compared = 0;
  for (const auto& item : expected["tokens"].items()) {
    const std::string& name = item.key();
    const auto& lists = item.value();
    const auto tokenizer = open_tokenizer(kGolden / name);
    const auto encoder = tokenizer->encoder();
    for (std::size_t i = 0; i < lists.size(); ++i) {
      const auto text = expected["texts"][i].get<std::string>();
      CAPTURE(name);
      CAPTURE(text);
      CHECK(encode(*tokenizer, text) == lists[i].get<std::vector<TokenId>>());
      std::vector<TokenId> again;  // from words that the encoder has met
      encoder->encode(text, "text", again);
      encoder->encode(text, "text", again);
      CHECK(again.size() == 2 * lists[i].size());
      ++compared;
    }
  }
  CHECK(compared == 14 * 23);
}

TEST_CASE("a tokenizer knows its kind, its size and the token that ends documents") {
  const auto check = [](const char* name, const char* kind, std::int64_t vocab, std::optional<TokenId> end) {
    const auto tokenizer = open_tokenizer(std::string(name) == "byte" ? std::filesystem::path(name) : kGolden / name);
    CHECK(tokenizer->kind() == kind);
    CHECK(tokenizer->vocab() == vocab);
    CHECK(tokenizer->end_of_document() == end);
  };
  check("byte", "byte", 257, 256);
  check("gpt2.json", "byte-level BPE", 320, 0);
  check("qwen2.json", "byte-level BPE", 324, 0);  // four tokens were added behind the vocabulary
  check("llama3.json", "byte-level BPE", 320, 1);
  check("bert-uncased.json", "WordPiece", 500, 3);
  check("t5.model", "SentencePiece", 420, 2);
  CHECK(open_tokenizer(kGolden / "gpt2.json")->find("<|endoftext|>") == 0);
  CHECK(open_tokenizer(kGolden / "gpt2.json")->find("<mask>") == std::nullopt);
  CHECK(open_tokenizer(kGolden / "qwen2.json")->find("<|im_end|>") == 321);
  CHECK(open_tokenizer(kGolden / "t5.model")->find("</s>") == 2);
}

TEST_CASE("an added token is another one than that of the vocabulary which stands for the same bytes") {
  const testing::ScratchFolder folder;
  auto json = nlohmann::json::parse(read_file(kGolden / "gpt2.json"));
  REQUIRE(json["model"]["vocab"].contains("\u0120t"));  // a space and a t
  json["added_tokens"].push_back({{"id", 320}, {"content", " t"}, {"special", false}, {"normalized", false}});
  const auto tokenizer = open_tokenizer(folder.write("tokenizer.json", json.dump()));
  CHECK(tokenizer->find(" t") == 320);
  CHECK(tokenizer->find("\u0120t") == json["model"]["vocab"]["\u0120t"].get<TokenId>());
  CHECK(encode(*tokenizer, " t") == std::vector<TokenId>{320});
}

TEST_CASE("the byte tokenizer takes any bytes, and no text makes no token") {
  const auto tokenizer = open_tokenizer("byte");
  CHECK(encode(*tokenizer, "a\xff") == std::vector<TokenId>{97, 255});
  CHECK(encode(*tokenizer, "").empty());
}

TEST_CASE("a folder's tokenizer is read from the file that says most, and its files are known") {
  CHECK(open_tokenizer(kGolden / "gpt2")->vocab() == 320);
  using Files = std::vector<TokenizerFile>;
  CHECK(tokenizer_files("byte").empty());
  CHECK(tokenizer_files(kGolden / "gpt2") ==
        Files{{kGolden / "gpt2/vocab.json", "vocab.json"}, {kGolden / "gpt2/merges.txt", "merges.txt"}});
  CHECK(tokenizer_files(kGolden / "bert-cased") ==
        Files{{kGolden / "bert-cased/vocab.txt", "vocab.txt"},
              {kGolden / "bert-cased/tokenizer_config.json", "tokenizer_config.json"}});
  CHECK(tokenizer_files(kGolden / "qwen2.json") == Files{{kGolden / "qwen2.json", "tokenizer.json"}});
  CHECK(tokenizer_files(kGolden / "t5.model") == Files{{kGolden / "t5.model", "spiece.model"}});
}

TEST_CASE("tokenizers know which tokens begin a word, go on with one or stand apart") {
  const auto check = [](const char* name, std::string_view token, WordPart expected) {
    const auto tokenizer = open_tokenizer(std::string(name) == "byte" ? std::filesystem::path(name) : kGolden / name);
    const std::vector<WordPart> parts = tokenizer->word_parts();
    CHECK(static_cast<std::int64_t>(parts.size()) == tokenizer->vocab());
    const auto found = tokenizer->find(token);
    CAPTURE(name);
    CAPTURE(token);
    REQUIRE(found.has_value());
    CHECK(parts[static_cast<std::size_t>(*found)] == expected);
  };
  check("byte", "a", WordPart::goes_on);
  check("byte", " ", WordPart::apart);
  check("byte", "\n", WordPart::apart);
  CHECK(open_tokenizer("byte")->word_parts()[256] == WordPart::apart);
  check("gpt2.json", "t", WordPart::goes_on);
  check("gpt2.json", "\u0120t", WordPart::begins);
  check("gpt2.json", "\u0120", WordPart::apart);
  check("gpt2.json", "<|endoftext|>", WordPart::apart);
  for (const char* name : {"bert-uncased.json", "bert-uncased"}) {
    check(name, "a", WordPart::begins);
    check(name, "##a", WordPart::goes_on);
    check(name, "[SEP]", WordPart::apart);
    check(name, "[MASK]", WordPart::apart);
  }
  check("t5.model", "\u2581the", WordPart::begins);
  check("t5.model", "e", WordPart::goes_on);
  check("t5.model", "</s>", WordPart::apart);
}
