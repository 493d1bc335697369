#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <map>
#include <sstream>
#include <string>

#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/split_expression.h"
#include "data/unicode/unicode.h"
#include "support/paths.h"
#include "trellis/plan/files.h"

using namespace trellis;
using namespace trellis::data;

namespace {

using Answer = std::function<std::string(char32_t)>;

std::uint64_t hash_of(const Answer& answer) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    for (const char byte : answer(c) + "\n") value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  }
  return value;
}

std::string text_of(char32_t c) {
  std::string text;
  append(text, c);
  return text;
}

Answer matches(const std::string& name) {
  return [expression = SplitExpression("\\p{" + name + "}")](char32_t c) {
    return expression.match(text_of(c), 0) == SplitExpression::npos ? "0" : "1";
  };
}

Answer flag(bool (*of)(char32_t)) {
  return [of](char32_t c) { return of(c) ? "1" : "0"; };
}

Answer answer_to(const std::string& question) {
  static const std::map<std::string, Answer> known = {
      {"space", flag(is_space)},
      {"other", flag(is_other)},
      {"punctuation", flag(is_punctuation)},
      {"accent", flag(is_accent)},
      {"numeric", flag(is_numeric)},
      {"ideograph", flag(is_ideograph)},
      {"lower", [](char32_t c) { return lower(text_of(c)); }},
      {"nfd", [](char32_t c) { return nfd(text_of(c)); }},
      {"nfc", [](char32_t c) { return nfc(text_of(c)); }},
      {"nfd_among", [](char32_t c) { return nfd("a\u0345" + text_of(c) + "\u0334\uac00" + text_of(c)); }},
      {"nfc_among",
       [](char32_t c) { return nfc("e" + text_of(c) + "\u0301\u1100" + text_of(c) + "\uac00" + text_of(c)); }},
      {"bert",
       [](char32_t c) { return normalize({.kind = NormalizerStep::Kind::bert}, "A" + text_of(c) + "\u0301Z"); }}};
  const auto found = known.find(question);
  return found == known.end() ? matches(question) : found->second;
}

}  // namespace

TEST_CASE("every code point has the category, case, accents and compositions that the public package gives it") {
  std::istringstream lines(read_file(testing::source_dir() / "tests/tokenizers/unicode_sweep.txt"));
  int questions = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const std::string question = line.substr(0, line.find(' '));
    CAPTURE(question);
    CHECK(fmt::format("{:016x}", hash_of(answer_to(question))) == line.substr(line.find(' ') + 1));
    ++questions;
  }
  CHECK(questions == 46);
}

TEST_CASE("composition and decomposition by the examples of the standard") {
  CHECK(nfc("e\u0301") == "\u00e9");
  CHECK(nfc("\u1112\u1161\u11ab\u1100\u1173\u11af") == "한글");
  CHECK(nfd("한") == "\u1112\u1161\u11ab");
  CHECK(nfc("a\u0315\u0300\u05ae\u0062") == "\u00e0\u05ae\u0315\u0062");  // marks go by their class
  CHECK(nfc("\u0344") == "\u0308\u0301");                                   // never comes back
  CHECK(nfc("\u212b") == "\u00c5");
  CHECK(nfd("\u01d5") == "U\u0308\u0304");
  CHECK(nfc("plain") == "plain");
}
