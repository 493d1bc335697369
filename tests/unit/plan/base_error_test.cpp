#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/logging.h"

using namespace trellis;

namespace {
const std::vector<std::string> kSearches = {"dynamic_programming", "exact", "exhaustive", "uniform"};
}

TEST_CASE("an error reads as place, message and hint") {
  const Error error(ExitCode::bad_input, "search.use: no search plugin named 'exakt'", "did you mean 'exact'?",
                    {"gpt.yaml", 21, 14});
  CHECK(std::string(error.what()) ==
        "gpt.yaml:21:14: search.use: no search plugin named 'exakt'\n    did you mean 'exact'?");
  CHECK(error.code() == ExitCode::bad_input);
  CHECK(error.message() == "search.use: no search plugin named 'exakt'");
  CHECK(error.hint() == "did you mean 'exact'?");
  CHECK(error.mark() == Mark{"gpt.yaml", 21, 14});
}

TEST_CASE("an error leaves out what is not known") {
  CHECK(std::string(Error(ExitCode::io, "disk full").what()) == "disk full");
  CHECK(std::string(Error(ExitCode::io, "empty", {}, {"a.yaml"}).what()) == "a.yaml: empty");
  CHECK(std::string(Error(ExitCode::io, "empty", {}, {"a.yaml", 3}).what()) == "a.yaml:3: empty");
}

TEST_CASE("fail formats, and bad input is the usual exit code") {
  CHECK_THROWS_WITH_AS(fail("{} heads do not divide by {}", 12, 8), "12 heads do not divide by 8", Error);
  try {
    fail(ExitCode::unsupported, "no {}", "CUDA");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::unsupported);
  }
  CHECK_THROWS_WITH_AS(fail(Mark{"plan.yaml", 10, 5}, "layer {}", 13), "plan.yaml:10:5: layer 13", Error);
}

TEST_CASE("a suggestion is the nearest name, if one is near") {
  CHECK(suggest("exakt", kSearches) == "exact");
  CHECK(suggest("exhuastive", kSearches) == "exhaustive");
  CHECK(suggest("UNIFORM", kSearches) == "uniform");
  CHECK(suggest("genetic", kSearches) == "");
  CHECK(suggest("", kSearches) == "");
  CHECK(suggest("tp", std::vector<std::string>{"dp", "pp"}) == "dp");
  CHECK(suggest("x", std::vector<std::string>{"y"}) == "");
  CHECK(suggest(std::string(1'000'000, 'x'), kSearches) == "");
}

TEST_CASE("without a near name the hint lists all") {
  CHECK(suggestion_hint("exakt", kSearches, "found") == "did you mean 'exact'?");
  CHECK(suggestion_hint("genetic", std::vector<std::string>{"exact", "uniform"}, "found") == "found: exact, uniform");
  CHECK(suggestion_hint("genetic", {}, "found") == "");
}

TEST_CASE("an unknown log level is an error of usage") {
  CHECK_THROWS_WITH_AS(set_log_level("inf"), "no log level named 'inf'\n    did you mean 'info'?", Error);
  const auto before = log().level();
  set_log_level("error");
  CHECK(log().level() == spdlog::level::err);
  set_log_level("warn");
  CHECK(log().level() == spdlog::level::warn);
  CHECK(log().name() == "trellis");
  log().set_level(before);
}
