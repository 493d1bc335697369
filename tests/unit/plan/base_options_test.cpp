#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "support/error_of.h"
#include "trellis/plan/options.h"

using namespace trellis;

namespace {

Options parse(std::string_view text) { return Options::from_text(text, "a.yaml"); }

// what() of the error that `act` throws.
using trellis::test::error_of;

std::string parse_error(std::string_view text) {
  return error_of([&] { parse(text); });
}

}  // namespace

TEST_CASE("options are read by key and type") {
  const Options o = parse(
      "name: gpt\nlayers: 24\nseed: 9000000000\nrate: 3e-4\nflash: on\nlimit: 38GiB\ntimeout: 1.7ms\n"
      "stages: [0-12, 13-25]\natoms: [2, 3]\nsizes: 1GiB\nmasks: [on, no]\ntable: [[1, 2], [3]]\nquoted: \"true\"\n");
  CHECK(o.get<std::string>("name", "bert") == "gpt");
  CHECK(o.get("name", "bert") == "gpt");
  CHECK(o.get("layers", 12) == 24);
  CHECK(o.required<std::int64_t>("seed") == 9'000'000'000);
  CHECK(o.get("rate", 0.0) == 3e-4);
  CHECK(o.get("flash", false) == true);
  CHECK(o.required<Bytes>("limit") == 38_GiB);
  CHECK(o.required<Picoseconds>("timeout") == 1700_us);
  CHECK(o.required<std::vector<std::string>>("stages") == std::vector<std::string>{"0-12", "13-25"});
  CHECK(o.required<std::vector<int>>("atoms") == std::vector<int>{2, 3});
  CHECK(o.required<std::vector<Bytes>>("sizes") == std::vector<Bytes>{1_GiB});
  CHECK(o.required<std::vector<bool>>("masks") == std::vector<bool>{true, false});
  CHECK(o.required<std::vector<std::vector<int>>>("table") == std::vector<std::vector<int>>{{1, 2}, {3}});
  CHECK(o.required<std::string>("quoted") == "true");
  CHECK(o.get("absent", 7) == 7);
  CHECK(o.get("absent", "text") == "text");
  CHECK_FALSE(o.find<int>("absent").has_value());
  CHECK_NOTHROW(o.finish());
}

TEST_CASE("truth has six spellings") {
  for (const char* yes : {"true", "on", "yes", "True", "ON"})
    CHECK(Options::from_text(fmt::format("x: {}", yes), "a").required<bool>("x"));
  for (const char* no : {"false", "off", "no", "False", "OFF"})
    CHECK_FALSE(Options::from_text(fmt::format("x: {}", no), "a").required<bool>("x"));
}

TEST_CASE("a value of the wrong type says what was expected and found") {
  const Options o = parse(
      "model:\n  layers: abc\n  deep: 1.5\n  big: 9999999999\n  rate: fast\n  none:\n  list: [1, x]\n  map: {a: 1}\n"
      "  limit: 38\n  on: maybe\n  inf: .inf\n");
  const Options m = o.section("model");
  CHECK(error_of([&] { m.get("layers", 1); }) == "a.yaml:2:11: model.layers: expected an integer, found 'abc'");
  CHECK(error_of([&] { m.get("deep", 1); }) == "a.yaml:3:9: model.deep: expected an integer, found '1.5'");
  CHECK(error_of([&] { m.get("big", 1); }) ==
        "a.yaml:4:8: model.big: expected an integer from -2147483648 to 2147483647, found '9999999999'");
  CHECK(error_of([&] { m.get("rate", 1.0); }) == "a.yaml:5:9: model.rate: expected a number, found 'fast'");
  CHECK(error_of([&] { m.get("none", 1); }) == "a.yaml:6:3: model.none: expected an integer, found nothing\n    leave the key out where its default is meant");
  CHECK(error_of([&] { m.required<std::vector<int>>("list"); }) ==
        "a.yaml:7:13: model.list[1]: expected an integer, found 'x'");
  CHECK(error_of([&] { m.get("list", 1); }) == "a.yaml:7:9: model.list: expected an integer, found a list");
  CHECK(error_of([&] { m.get("map", "x"); }) == "a.yaml:8:8: model.map: expected a text, found a mapping");
  CHECK(error_of([&] { m.required<std::vector<int>>("map"); }) ==
        "a.yaml:8:8: model.map: expected a list, found a mapping");
  CHECK(error_of([&] { m.get("limit", 1_GiB); }) ==
        "a.yaml:9:10: model.limit: expected a size such as '38GiB', found '38'\n"
        "    add a unit: B, KiB, MiB, GiB, TiB, PiB, KB, kB, MB, GB, TB, PB");
  CHECK(error_of([&] { m.get("on", true); }) == "a.yaml:10:7: model.on: expected true or false, found 'maybe'");
  CHECK(error_of([&] { m.get("inf", 1.0); }) == "a.yaml:11:8: model.inf: expected a number, found '.inf'");
  CHECK(error_of([&] { m.section("layers"); }) == "a.yaml:2:11: model.layers: expected a mapping, found 'abc'");
  CHECK(error_of([&] { m.list("map"); }) == "a.yaml:8:8: model.map: expected a list of mappings, found a mapping");
  CHECK(error_of([&] { m.list("list"); }) == "a.yaml:7:10: model.list[0]: expected a mapping, found '1'");
  CHECK(error_of([&] { m.raw("list"); }) == "a.yaml:7:9: model.list: expected a single value, found a list");
}

TEST_CASE("a required option that is missing is blamed on its mapping") {
  const Options o = parse("model:\n  hiden: 64\n");
  CHECK(error_of([&] { o.section("model").required<int>("hidden"); }) ==
        "a.yaml:2:3: model.hidden: required, and not given\n    'hiden' is given: did you mean 'hidden'?");
  CHECK(error_of([&] { o.section("data").required<int>("files"); }) ==
        "a.yaml:1:1: data.files: required, and not given");
}

TEST_CASE("an option that nobody read is unknown, with its place, its owner and a suggestion") {
  const Options o = parse("parallelism:\n  uniform: {tp: {degre: 2}}\n");
  const Options tp = o.section("parallelism").section("uniform").section("tp").with_owner("parallelism 'tp'");
  CHECK(tp.get("degree", 1) == 1);
  const std::string expected =
      "a.yaml:2:18: parallelism.uniform.tp.degre: unknown option of parallelism 'tp'\n    did you mean 'degree'?";
  CHECK(error_of([&] { tp.finish(); }) == expected);
  CHECK(error_of([&] { o.finish(); }) == expected);
}

TEST_CASE("without a near name an unknown option lists the known ones") {
  const Options o = parse("size: 1\nwheels: 4\n");
  o.get("size", 0);
  o.has("color");
  CHECK(error_of([&] { o.finish(); }) == "a.yaml:2:1: wheels: unknown option\n    known: size, color");
}

TEST_CASE("finish goes through the lists and sections that were opened, and only those") {
  const Options o = parse("layers:\n  - {a: 1}\n  - {a: 1, b: 2}\nother: {c: 3}\n");
  for (const Options& layer : o.list("layers")) layer.get("a", 0);
  o.section("other").get("c", 0);
  CHECK(error_of([&] { o.finish(); }) == "a.yaml:3:12: layers[1].b: unknown option\n    known: a");
  const Options p = parse("outer: {inner: {x: 1}}\n");
  CHECK(error_of([&] { p.finish(); }) == "a.yaml:1:1: outer: unknown option");
  p.section("outer");
  CHECK(error_of([&] { p.finish(); }) == "a.yaml:1:9: outer.inner: unknown option");
  p.section("outer").section("inner").get("x", 0);  // opened twice, still one record
  CHECK_NOTHROW(p.finish());
}

TEST_CASE("looking at options does not read them") {
  const Options o = parse("b: {x: 1}\na: [1]\nc: full\n");
  CHECK(o.keys() == std::vector<std::string>{"b", "a", "c"});
  CHECK(o.has("a"));
  CHECK_FALSE(o.has("z"));
  CHECK(o.is_map("b"));
  CHECK_FALSE(o.is_map("c"));
  CHECK(o.is_list("a"));
  CHECK(o.mark("c") == Mark{"a.yaml", 3, 4});
  CHECK(o.mark() == Mark{"a.yaml", 1, 1});
  CHECK(error_of([&] { o.finish(); }) == "a.yaml:1:1: b: unknown option\n    known: a, z, c");
  CHECK(o.raw("c") == "full");
  CHECK(o.section("b").path("x") == "b.x");
}

TEST_CASE("whoever reads an option can reject its value") {
  const Options o = parse("search: {use: exakt}\n");
  CHECK(error_of([&] {
          o.section("search").reject("use", "no search plugin named 'exakt'", "did you mean 'exact'?");
        }) == "a.yaml:1:15: search.use: no search plugin named 'exakt'\n    did you mean 'exact'?");
  CHECK(error_of([&] { o.reject("", "this is no plan"); }) == "a.yaml:1:1: this is no plan");
}

TEST_CASE("a section whose options are all commented out is empty") {
  const Options o = parse("tp:\n  # degree: 2\nlayers:\n");
  CHECK(o.section("tp").get("degree", 1) == 1);
  CHECK(o.list("layers").empty());
  CHECK_NOTHROW(o.finish());
}

TEST_CASE("a key written twice is an error with both places") {
  CHECK(parse_error("a: 1\nb: 2\na: 3\n") == "a.yaml:3:1: the key 'a' is written twice\n    first at a.yaml:1:1");
  CHECK(parse_error("x: {k: 1, k: 2}\n") == "a.yaml:1:11: the key 'k' is written twice\n    first at a.yaml:1:5");
}

TEST_CASE("anchors stand for copies") {
  const Options o = parse("a: &x {n: 1, m: 2}\nb: *x\n");
  o.section("a").get("n", 0);
  o.section("a").get("m", 0);
  CHECK(o.section("b").get("n", 0) == 1);
  CHECK(error_of([&] { o.finish(); }) == "a.yaml:1:14: b.m: unknown option\n    known: n");
}

TEST_CASE("what is not YAML is an error at its place") {
  CHECK(parse_error("") == "a.yaml: the file is empty\n    options are written 'key: value', one a line");
  CHECK(parse_error("# only a comment\n") ==
        "a.yaml: the file is empty\n    options are written 'key: value', one a line");
  CHECK(parse_error("- 1\n- 2\n") ==
        "a.yaml:1:1: expected a mapping of options, found a list\n    options are written 'key: value', one a line");
  CHECK(parse_error("hello") ==
        "a.yaml:1:1: expected a mapping of options, found 'hello'\n    options are written 'key: value', one a line");
  CHECK(parse_error("a:\n\tb: 1\n") ==
        "a.yaml:2:3: this is not YAML: illegal map value\n    YAML is indented with spaces: replace the tab");
  CHECK(parse_error("a: [1, 2\n") == "a.yaml:2:1: this is not YAML: end of sequence flow not found");
  CHECK(parse_error("a: 1\n b: 2\n") == "a.yaml:2:3: this is not YAML: illegal map value");
  CHECK(parse_error("a: *nobody\n") ==
        "a.yaml:1:4: this is not YAML: the referenced anchor is not defined\n"
        "    a text that begins with '*' stands in quotes: \"*nobody\"");
  CHECK(parse_error("b: 1\na: [x, *.zip]\n") ==
        "a.yaml:2:8: this is not YAML: the referenced anchor is not defined\n"
        "    a text that begins with '*' stands in quotes: \"*.zip\"");
  CHECK(parse_error("a: *\n") ==
        "a.yaml:1:5: this is not YAML: alias not found after *\n    a text that begins with '*' stands in quotes: \"*\"");
  CHECK(parse_error("a: @b c\n") ==
        "a.yaml:1:4: this is not YAML: unknown token\n    a text that begins with '@' stands in quotes: \"@b\"");
  CHECK(parse_error("a: &x [*x]\n") == "a.yaml:1:8: an alias inside the value that it stands for");
  CHECK(parse_error("a: 1\n---\nb: 2\n") == "a.yaml:3:1: expected one YAML document, found a second");
  CHECK(parse_error("a: 1\n<<: {b: 2}\n") ==
        "a.yaml:2:1: merge keys ('<<') are not supported\n    a run file composes others with 'base:'");
  CHECK(parse_error("? [1, 2]\n: 3\n") ==
        "a.yaml:1:3: expected a plain key, found a list\n    is a bracket left open?");
  CHECK(parse_error("~: 3\n") == "a.yaml:1:1: expected a plain key, found nothing");
  CHECK(parse_error("a: !!python/object x\n") ==
        "a.yaml:1:4: YAML tags are not supported, found 'tag:yaml.org,2002:python/object'\n"
        "    a text that begins with '!' stands in quotes");
}

TEST_CASE("what is not text is an error at its place") {
  CHECK(parse_error("a: 1\nb: \xFF\xFE\n") == "a.yaml:2:4: this is not UTF-8 text: byte 0xFF");
  CHECK(parse_error("a: \xC0\x80\n") == "a.yaml:1:4: this is not UTF-8 text: byte 0xC0");
  CHECK(parse_error("a: \xED\xA0\x80\n") == "a.yaml:1:4: this is not UTF-8 text: byte 0xED");
  CHECK(parse_error("a: \xE2\x82") == "a.yaml:1:4: this is not UTF-8 text: byte 0xE2");
  CHECK(parse_error(std::string_view("a: \0b\n", 6)) == "a.yaml:1:4: this is not text: control character 0x00");
  CHECK(parse("k\xC3\xB6nig: \xE2\x82\xAC\r\n").get("k\xC3\xB6nig", "") == "\xE2\x82\xAC");
  CHECK(parse("\xEF\xBB\xBF"
              "a: 1\n")
            .get("a", 0) == 1);
}

TEST_CASE("documents that grow without end are refused") {
  CHECK(parse_error("a: " + std::string(200, '[') + std::string(200, ']')) ==
        "a.yaml:1:67: nested deeper than 64 levels");
  CHECK(parse_error("a: " + std::string(100'000, '[')).starts_with("a.yaml:1:"));
  std::string steps;
  for (int i = 0; i < 1000; ++i) steps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(parse_error(steps) == "a.yaml:65:65: nested deeper than 64 levels");
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("{}*a{}", j ? ", " : "", i - 1);
    bomb += "]\n";
  }
  CHECK(parse_error(bomb) == "a.yaml:5:45: the anchors expand to more than 100000 values");
  std::string deep = "a0: &a0 [1]\n";
  for (int i = 1; i < 100; ++i) deep += fmt::format("a{}: &a{} [*a{}]\n", i, i, i - 1);
  CHECK(parse_error(deep) == "a.yaml:64:12: nested deeper than 64 levels");
}

TEST_CASE("a long value is shortened in an error, between characters") {
  const Options o = parse("a: " + std::string(59, 'x') + "\xE2\x82\xAC\xE2\x82\xAC\n");
  CHECK(error_of([&] { o.get("a", 1); }) ==
        "a.yaml:1:4: a: expected an integer, found '" + std::string(59, 'x') + "...'");
}

TEST_CASE("options are emitted as YAML that reads back the same") {
  const Options o = parse(
      "text: \"true\"\nempty: ''\nnull_text: '~'\nnothing:\nlist: [1, 'a, b']\nmaps:\n  - {a: 1}\n  - {b: {}}\n"
      "lines: |\n  one\n  two\ncolon: 'a: b'\nflag: on\n'odd: key': 1\nunicode: \xE2\x82\xAC\n");
  const std::string once = o.to_yaml();
  CHECK(once == R"(text: "true"
empty: ""
null_text: "~"
nothing: ~
list: [1, "a, b"]
maps:
  - a: 1
  - b: {}
lines: "one\ntwo\n"
colon: "a: b"
flag: on
"odd: key": 1
unicode: €
)");
  const Options again = parse(once);
  CHECK(again.to_yaml() == once);
  CHECK(again.get("text", "") == "true");
  CHECK(again.get("null_text", "") == "~");
  CHECK(again.get("lines", "") == "one\ntwo\n");
  CHECK(again.required<std::vector<std::string>>("list") == std::vector<std::string>{"1", "a, b"});
  CHECK(again.get("odd: key", 0) == 1);
}

TEST_CASE("options are built by setting keys") {
  Options o = Options::empty("test");
  CHECK(o.to_yaml() == "{}\n");
  o.set("tp.degree", "4");
  o.set("stages", "[0-3, 4-7]");
  CHECK(o.section("tp").get("degree", 1) == 4);
  o.set("tp.degree", "abc");
  CHECK(error_of([&] { o.section("tp").get("degree", 1); }) == "test: tp.degree: expected an integer, found 'abc'");
  CHECK(o.to_yaml() == "tp:\n  degree: abc\nstages: [0-3, 4-7]\n");
  CHECK(error_of([&] { o.set("a..b", "1"); }) ==
        "test: an empty key in the path of an option\n    write key.path=value");
}

TEST_CASE("a list may have words that stand for mappings, and a word or a mapping alone is a list of one") {
  const Options o = Options::from_text("many: [a, {b: 2}]\nword: c\nmap: {d: 4}\nwrong: [[1]]\nempty:\n", "w.yaml");
  const std::vector<Options> many = o.list("many", "on");
  REQUIRE(many.size() == 2);
  CHECK(many[0].get("a", "") == "on");
  CHECK(many[0].path("a") == "many[0].a");
  CHECK(many[1].get("b", 0) == 2);
  CHECK(o.list("word", "on").at(0).get("c", "") == "on");
  CHECK(o.list("map", "on").at(0).get("d", 0) == 4);
  CHECK(o.list("empty", "on").empty());
  CHECK(o.list("nowhere", "on").empty());
  CHECK(error_of([&] { o.list("wrong", "on"); }) ==
        "w.yaml:4:9: wrong[0]: expected a word or a mapping, found a list");
}
