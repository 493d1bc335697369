#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/tokenizer/pre_tokenizer.h"
#include "trellis/plan/error.h"

using namespace trellis;
using namespace trellis::data;

namespace {

using Words = std::vector<std::string>;

Words words(const std::string& expression, const std::string& text, bool keeps_matches = true, bool keeps_rest = true) {
  const CutStep step{.expression = std::make_shared<const SplitExpression>(expression),
                     .keeps_matches = keeps_matches,
                     .keeps_rest = keeps_rest};
  Words result;
  auto add = [&](std::string_view word) { result.emplace_back(word); };
  cut(&step, &step + 1, text, add);
  return result;
}

std::string refusal(const std::string& expression) {
  try {
    SplitExpression parsed(expression);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::unsupported);
    return error.message();
  }
  return "taken";
}

}  // namespace

TEST_CASE("GPT-2's expression leaves the last of several spaces to the word behind them") {
  CHECK(words(std::string(gpt2_expression()), "It's  a\n\n test, 12km") ==
        Words{"It", "'s", " ", " a", "\n\n", " test", ",", " 12", "km"});
}

TEST_CASE("choices are tried in order, the first that fits is taken") {
  CHECK(words("ab|abc", "abc") == Words{"ab", "c"});
  CHECK(words("abc|ab", "abc") == Words{"abc"});
  CHECK(words("a*b", "aaab aaa") == Words{"aaab", " aaa"});
  CHECK(words("a+(?=b)", "aab") == Words{"aa", "b"});
  CHECK(words("(?:ab)?c|a", "abcac") == Words{"abc", "a", "c"});
  CHECK(words("x{2,3}", "xxxxx") == Words{"xxx", "xx"});
  CHECK(words("x{2}", "xxx") == Words{"xx", "x"});
}

TEST_CASE("classes have ranges, escapes, categories and spaces, also inverted") {
  CHECK(words("[a-c]+", "abcd-") == Words{"abc", "d-"});
  CHECK(words("[a\\-\\]]+", "x-]a") == Words{"x", "-]a"});
  CHECK(words("[^\\s\\p{L}]+", "ab12 c") == Words{"ab", "12", " c"});
  CHECK(words("[\\S]+", "ab c") == Words{"ab", " ", "c"});
  CHECK(words("\\P{L}", "a1") == Words{"a", "1"});
  CHECK(words("[\\u4e00-\\u9fa5]+", "中文a") == Words{"中文", "a"});
  CHECK(words("\\p{Lu}", "aÉb") == Words{"a", "É", "b"});
}

TEST_CASE("case does not matter within (?i:..), the long s and the Kelvin sign included") {
  CHECK(words("(?i:'s)", "'S'\u017f's") == Words{"'S", "'\u017f", "'s"});
  CHECK(words("(?i:k)", "\u212aK") == Words{"\u212a", "K"});
}

TEST_CASE("matches or the rest may be dropped") {
  CHECK(words("\\s+", "a b  c", false) == Words{"a", "b", "c"});
  CHECK(words("\\d", "a1b2", true, false) == Words{"1", "2"});
}

TEST_CASE("what an expression may not have is named with its place") {
  const auto refused = [](const std::string& expression, const std::string& what) {
    CAPTURE(expression);
    CHECK(refusal(expression) == "split expression '" + expression + "' has " + what);
  };
  refused("a*", "a part that matches no character at character 3");
  refused("a|b?", "a part that matches no character at character 5");
  refused("(?=a)", "a part that matches no character at character 6");
  refused("\\w+", "the escape '\\w' at character 2");
  refused("\\bx", "the escape '\\b' at character 2");
  refused("\\p{Han}", "the property 'Han', which is no general category, at character 4");
  refused("^a", "'^' at character 1");
  refused("a.", "'.' at character 2");
  refused("(ab)+", "a repeated group at character 6");
  refused("a+?", "a quantifier of a quantifier at character 3");
  refused("(?<x>a)", "a group of an unknown kind at character 1");
  refused("(a", "a group that does not end at character 3");
  refused("a)", "a ')' without '(' at character 2");
  refused("[a", "a class that does not end at character 3");
  refused("[]", "an empty class at character 2");
  refused("[b-a]", "a range whose end is before its begin at character 5");
  refused("[[:alpha:]]", "a class within a class at character 2");
  refused("[a&&b]", "'&&' within a class at character 3");
  refused("a{3,2}", "counts that are not {n}, {n,} or {n,m} at character 7");
  refused("a{99999}", "a count that is no small number at character 3");
  refused("(?i:\u00e9)", "a character other than ASCII without regard to case at character 7");
  refused("\\u12", "an escape '\\u' without the number of a character at character 3");
  refused("a\\", "a '\\' at its end at character 3");
  refused(std::string(40, '(') + "a" + std::string(40, ')'), "groups nested deeper than anybody means at character 18");
}

TEST_CASE("an expression that would take forever is given up") {
  const SplitExpression slow("a*a*a*a*a*a*a*b");
  CHECK_THROWS_WITH(slow.match(std::string(3000, 'a'), 0),
                    "the tokenizer's split expression needs too many steps for this text\n    expressions with several "
                    "repetitions of the same characters do");
}
