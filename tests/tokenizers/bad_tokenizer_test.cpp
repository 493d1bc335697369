#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "support/paths.h"
#include "tokenizers/scratch_folder.h"

using namespace trellis;
using namespace trellis::data;
using trellis::testing::error_of;
using Json = nlohmann::json;

namespace {

const std::filesystem::path kGolden = testing::source_dir() / "tests/tokenizers/golden";

Json golden(const char* name) { return Json::parse(read_file(kGolden / name)); }

std::string opening(const Json& json) {
  const testing::ScratchFolder folder;
  const auto file = folder.write("tokenizer.json", json.dump());
  return error_of([&] { open_tokenizer(file); });
}

// Of a good file with one value replaced.
std::string with(const char* name, const char* pointer, const Json& value) {
  Json json = golden(name);
  json[Json::json_pointer(pointer)] = value;
  return opening(json);
}

}  // namespace

TEST_CASE("components that are not supported are refused by name, with what is supported") {
  CHECK(with("gpt2.json", "/model/type", "WordLevel") == "8 tokenizer.json model.type: 'WordLevel' is not supported");
  CHECK(with("gpt2.json", "/model/type", "Unigram") == "8 tokenizer.json model.type: 'Unigram' is not supported");
  CHECK(with("gpt2.json", "/model/byte_fallback", true) ==
        "8 tokenizer.json model.byte_fallback: true is not supported");
  CHECK(with("gpt2.json", "/model/dropout", 0.1) == "8 tokenizer.json model.dropout: 0.1 is not supported");
  CHECK(with("gpt2.json", "/model/end_of_word_suffix", "</w>") ==
        "8 tokenizer.json model.end_of_word_suffix: \"</w>\" is not supported");
  CHECK(with("gpt2.json", "/model/new_option", 1) ==
        "8 tokenizer.json model.new_option: not known, and it may change the tokens");
  CHECK(with("gpt2.json", "/normalizer", {{"type", "NFKC"}}) ==
        "8 tokenizer.json normalizer.type: 'NFKC' is not supported");
  CHECK(with("gpt2.json", "/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Replace"}}}}}) ==
        "8 tokenizer.json normalizer.normalizers[0].type: 'Replace' is not supported");
  CHECK(with("gpt2.json", "/pre_tokenizer", {{"type", "Metaspace"}}) ==
        "8 tokenizer.json pre_tokenizer.type: 'Metaspace' is not supported");
  CHECK(with("gpt2.json", "/pre_tokenizer", nullptr) ==
        "8 tokenizer.json model.type: BPE without the pre-tokenizer ByteLevel is not supported");
  CHECK(with("bert-cased.json", "/pre_tokenizer", golden("gpt2.json")["pre_tokenizer"]) ==
        "8 tokenizer.json model.type: WordPiece with the pre-tokenizer ByteLevel is not supported");
  CHECK(with("llama3.json", "/pre_tokenizer/pretokenizers/0/pattern", {{"Regex", "\\w+"}}) ==
        "8 tokenizer.json pre_tokenizer.pretokenizers[0].pattern: split expression '\\w+' has the escape '\\w' at "
        "character 2");
  CHECK(with("llama3.json", "/pre_tokenizer/pretokenizers/0/behavior", "Contiguous") ==
        "8 tokenizer.json pre_tokenizer.pretokenizers[0].behavior: 'Contiguous' is not supported");
  CHECK(with("qwen2.json", "/added_tokens/0/single_word", true) ==
        "8 tokenizer.json added_tokens[0].single_word: token '<|endoftext|>' is only found as a word of its own");
  CHECK(with("gpt2.json", "/extra", 1) == "8 tokenizer.json extra: not known, and it may change the tokens");
}

TEST_CASE("a file that contradicts itself is refused with what is wrong") {
  CHECK(with("gpt2.json", "/model/merges/3", "a b c") ==
        "4 tokenizer.json model.merges[3]: expected two tokens with a space between them, found 'a b c'");
  CHECK(
      with("gpt2.json", "/model/merges/3", {"a", "\u0178\u0178"}) ==
      "4 tokenizer.json model: merge 4, 'a \u0178\u0178', needs token '\u0178\u0178', which is not in the vocabulary");
  CHECK(with("gpt2.json", "/model/merges/3", 7) == "4 tokenizer.json model.merges[3]: expected two tokens");
  CHECK(
      with("gpt2.json", "/model/vocab/a", 0).starts_with("4 tokenizer.json model.vocab: two tokens have the number 0"));
  CHECK(with("gpt2.json", "/model/vocab/a", -1) ==
        "4 tokenizer.json model.vocab: token 'a' has the number -1; expected one below 268435456");
  CHECK(with("gpt2.json", "/model/vocab/a", 1e9)
            .starts_with("4 tokenizer.json model.vocab: token 'a' has the number 10"));
  CHECK(with("gpt2.json", "/model/vocab", Json::array()) ==
        "4 tokenizer.json model.vocab: expected an object with a number for each token");
  CHECK(with("gpt2.json", "/added_tokens/0/id", 7) ==
        "4 tokenizer.json added_tokens: '<|endoftext|>' has the number 7, and in the vocabulary 0");
  CHECK(with("gpt2.json", "/added_tokens/0/id", "x") ==
        "4 tokenizer.json added_tokens[0].id: expected a whole number, 0 or more, found \"x\"");
  CHECK(with("gpt2.json", "/added_tokens/0/content", "") == "4 tokenizer.json added_tokens[0].content: an empty token");
  CHECK(with("bert-cased.json", "/model/unk_token", "?!") ==
        "4 tokenizer.json model.unk_token: '?!' is not in the vocabulary");
  CHECK(with("gpt2.json", "/model", 5) == "4 tokenizer.json model: expected an object, found 5");
  CHECK(opening(Json::array()) == "4 tokenizer.json expected an object, found []");
  CHECK(opening(Json::object()) == "4 tokenizer.json model: required, and not given");

  Json json = golden("gpt2.json");
  json["model"]["vocab"].erase("a");
  CHECK(opening(json) ==
        "4 tokenizer.json model: the vocabulary has no token for byte 0x61: text with it would be lost");
}

TEST_CASE("files that are no tokenizers are refused, each form by its own mistakes") {
  const testing::ScratchFolder folder;
  const auto opened = [&](const char* name) { return error_of([&] { open_tokenizer(folder / name); }); };
  CHECK(opened("none") == "7  there is no tokenizer '" + (folder / "none").string() + "'");
  CHECK(error_of([&] { open_tokenizer(folder / "."); }).ends_with("there is no tokenizer in this folder"));
  folder.write("tokenizer.json", "{\"model\": {");
  CHECK(opened("tokenizer.json") == "4 tokenizer.json:1:12 not JSON: it ends in the middle");
  folder.write("tokenizer.json", "{\"model\": 1, \"model\": 2}");
  CHECK(opened("tokenizer.json") == "4 tokenizer.json the key 'model' is written twice");
  folder.write("spiece.model", "nothing of the kind");
  CHECK(opened("spiece.model") == "4 spiece.model no SentencePiece model, or a damaged one");
  const std::string model = read_file(kGolden / "t5.model");
  folder.write("spiece.model", std::string_view(model).substr(0, model.size() / 2));
  CHECK(opened("spiece.model") == "4 spiece.model no SentencePiece model, or a damaged one");
  folder.write("words.bin", "x");
  CHECK(opened("words.bin") == "4 words.bin this is no tokenizer that is known by its name");
  folder.write("vocab.json", "{}");
  CHECK(opened("vocab.json") == "4 vocab.json there is no merges.txt beside it");
  folder.write("merges.txt", "a b\n");
  CHECK(opened("vocab.json") == "4 vocab.json expected an object with a number for each token");
  folder.write("vocab.json", read_file(kGolden / "gpt2/vocab.json"));
  folder.write("merges.txt", "#version: 0.2\nab\n");
  CHECK(opened("vocab.json") == "4 merges.txt:2:1 expected two tokens with a space between them, found 'ab'");
  folder.write("merges.txt", "#version: 0.2\nQ Q\n");
  CHECK(opened("vocab.json") == "4 merges.txt merge 1, 'Q Q', needs token 'QQ', which is not in the vocabulary");
  folder.write("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\"}");
  CHECK(opened("vocab.json") ==
        "8 tokenizer_config.json tokenizer_class: 'Qwen2Tokenizer' is not read from these files");
  std::filesystem::remove(folder / "tokenizer_config.json");
  folder.write("vocab.txt", "a\nb\n");
  CHECK(opened("vocab.txt") == "4 vocab.txt there is no token [UNK]: this is no vocabulary of BERT");
  folder.write("vocab.txt", "[UNK]\na\nb\na\n");
  CHECK(opened("vocab.txt") == "4 vocab.txt:4:1 'a' is there twice");
}

TEST_CASE("text that is not UTF-8 is refused with its place, whatever makes it so") {
  const auto refused = [](const char* name, const std::string& text) {
    const auto tokenizer = open_tokenizer(kGolden / name);
    std::vector<TokenId> out;
    return error_of([&] { tokenizer->encoder()->encode(text, "some/text.txt", out); });
  };
  CHECK(refused("gpt2.json", "abc\nde\xff") == "4 text.txt:2:3 this is not UTF-8 text: byte 0xFF");
  CHECK(refused("bert-cased.json", "\xc0\xaf") == "4 text.txt:1:1 this is not UTF-8 text: byte 0xC0");   // overlong
  CHECK(refused("t5.model", "\xed\xa0\x80") == "4 text.txt:1:1 this is not UTF-8 text: byte 0xED");      // a surrogate
  CHECK(refused("qwen2.json", "0123456789abc\xe4\xb8") ==
        "4 text.txt:1:14 this is not UTF-8 text: byte 0xE4");  // cut off
  CHECK(refused("gpt2.json", "\xf4\x90\x80\x80") == "4 text.txt:1:1 this is not UTF-8 text: byte 0xF4");
}
