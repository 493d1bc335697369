// What each dimension makes of a layer, and what it refuses.
#include <doctest/doctest.h>

#include "support/layers.h"
#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"

using namespace trellis;

namespace {

Strategy strategy(const std::string& yaml) {
  return read_strategy(Options::from_text("{" + yaml + "}", "test"), test::dimensions());
}

std::string key(const std::string& yaml, const LayerSpec& layer = test::block_dims(),
                std::vector<int> atoms = {2, 2, 2}) {
  const Placed placed = place(strategy(yaml), layer, {atoms}, test::dimensions());
  return placed.placement ? placed.placement->key() : "rejected: " + placed.reason;
}

std::string labels(std::string_view dimension, const LayerSpec& layer, SpaceContext space) {
  std::string text;
  for (const Setting& setting : test::dimension(dimension)->settings(layer, space))
    text += (text.empty() ? "" : ", ") + setting.label();
  return text;
}

}  // namespace

TEST_CASE("dp takes every device and splits the batch in all regions") {
  CHECK(key("") == "line 2x2x2; batch on 0,1,2");
  CHECK(key("", test::block_dims(), {}) == "line ");
}

TEST_CASE("tp splits heads and ffn of a block outside the residual region and leaves the rest to dp") {
  CHECK(key("tp: {degree: 2}") == "line 2x2x2; batch on 0,1; ffn@!residual on 2; heads@!residual on 2");
  CHECK(key("tp: {degree: 4}") == "line 2x2x2; batch on 0; ffn@!residual on 1,2; heads@!residual on 1,2");
  CHECK(key("tp: {degree: 1}") == key(""));
}

TEST_CASE("tp splits the vocabulary of an embedding") {
  CHECK(key("tp: {degree: 2}", test::embedding_dims()) == "line 2x2x2; batch on 0,1; vocab@!residual on 2");
}

TEST_CASE("tp refuses a degree that does not divide, with the number that does not") {
  CHECK(key("tp: {degree: 8}") == "rejected: tp degree 8 does not fit: 12 heads do not divide by 8");
  CHECK(key("tp: {degree: 2}", test::block_dims(12, 1, 3)) ==
        "rejected: tp degree 2 does not fit: 3 ffn features do not divide by 2");
  CHECK(key("tp: {degree: 2}", test::embedding_dims(50257)) ==
        "rejected: tp degree 2 does not fit: 50257 vocabulary entries do not divide by 2");
}

TEST_CASE("tp refuses a layer that has nothing to split") {
  CHECK(key("tp: {degree: 2}", test::pooled_dims()) ==
        "rejected: tp degree 2 does not fit: a layer 'pooled' has no heads, ffn or vocabulary");
}

TEST_CASE("kv heads go as far as they divide, their queries take the rest") {
  CHECK(key("tp: {degree: 4}", test::block_dims(2, 6)) ==
        "line 2x2x2; batch on 0; ffn@!residual on 1,2; heads@!residual on 1,2");
  CHECK(key("tp: {degree: 8}", test::block_dims(2, 6)) ==
        "rejected: tp degree 8 does not fit: 12 heads do not divide by 8");
  // 4 kv heads take the 2 and 3 queries the 3, when the 2 is innermost; the other way round the 2 finds nothing.
  CHECK(key("tp: {degree: 6}", test::block_dims(4, 3), {3, 2}) ==
        "line 3x2; ffn@!residual on 0,1; heads@!residual on 0,1");
  CHECK(key("tp: {degree: 6}", test::block_dims(4, 3), {2, 3}) ==
        "rejected: tp degree 6 does not fit: 4 x 3 heads do not divide by 3 x 2, one after the other");
}

TEST_CASE("a degree must be a product of the innermost devices") {
  CHECK(key("tp: {degree: 3}") ==
        "rejected: tp degree 3 does not fit: degree 3 is not a product of the innermost devices of 2 x 2 x 2");
  CHECK(key("ulysses: {degree: 2}", test::block_dims(), {2, 3}) ==
        "rejected: ulysses degree 2 does not fit: degree 2 is not a product of the innermost devices of 2 x 3");
  CHECK(key("tp: {degree: 2}", test::block_dims(), {}) ==
        "rejected: tp degree 2 does not fit: degree 2 is more than the one device of the stage");
}

TEST_CASE("megatron_sp splits the sequence over tp's devices in the residual region") {
  CHECK(key("tp: {degree: 2}, megatron_sp: on") ==
        "line 2x2x2; batch on 0,1; ffn@!residual on 2; heads@!residual on 2; sequence@residual on 2");
  CHECK(key("tp: {degree: 2}, megatron_sp: off") == key("tp: {degree: 2}"));
}

TEST_CASE("megatron_sp needs tp, and a sequence") {
  CHECK(key("megatron_sp: on") == "rejected: megatron_sp needs tp, which is off");
  CHECK(key("tp: {degree: 1}, megatron_sp: on", test::pooled_dims()) ==
        "rejected: megatron_sp does not fit: a layer 'pooled' has no sequence");
}

TEST_CASE("ulysses splits the sequence outside attention and the heads inside") {
  CHECK(key("ulysses: {degree: 4}") == "line 2x2x2; batch on 0; heads@attention on 1,2; sequence@!attention on 1,2");
}

TEST_CASE("ulysses only splits the sequence of a layer without attention") {
  CHECK(key("ulysses: {degree: 8}", test::embedding_dims()) == "line 2x2x2; sequence@!attention on 0,1,2");
}

TEST_CASE("ulysses refuses heads that do not divide, and a layer without a sequence") {
  CHECK(key("ulysses: {degree: 8}") == "rejected: ulysses degree 8 does not fit: 12 heads do not divide by 8");
  CHECK(key("ulysses: {degree: 2}", test::pooled_dims()) ==
        "rejected: ulysses degree 2 does not fit: a layer 'pooled' has no sequence");
}

TEST_CASE("tp and ulysses exclude each other") {
  CHECK(key("tp: {degree: 2}, ulysses: {degree: 2}") == "rejected: tp and ulysses exclude each other");
}

TEST_CASE("each stage of zero splits one life more") {
  CHECK(key("zero: {stage: 0}") == "line 2x2x2; batch on 0,1,2");
  CHECK(key("zero: {stage: 1}") == "line 2x2x2; batch on 0,1,2; split optimizer");
  CHECK(key("zero: {stage: 2}") == "line 2x2x2; batch on 0,1,2; split gradient; split optimizer");
  CHECK(key("zero: {stage: 3}") == "line 2x2x2; batch on 0,1,2; split storage; split gradient; split optimizer");
}

TEST_CASE("ckpt keeps the layer's boundary only") {
  CHECK(key("ckpt: full") == "line 2x2x2; batch on 0,1,2; retain boundary");
  CHECK(key("ckpt: off") == key(""));
}

TEST_CASE("a strategy made in code is checked as one that was read") {
  const auto reason = [](const Strategy& strategy) {
    return place(strategy, test::block_dims(), {{2, 2}}, test::dimensions()).reason;
  };
  CHECK(reason({{"tpp", {"tpp", {{"degree", "2"}}}}}) == "no parallelism dimension named 'tpp': did you mean 'tp'?");
  CHECK(reason({{"zero", {"zero", {{"stage", "4"}}}}}) == "zero stage 4: expected 0 to 3");
  CHECK(reason({{"tp", {"tp", {{"degree", "-2"}}}}}) == "tp degree -2: expected at least 1");
  CHECK(reason({{"pp", {"pp", {{"degree", "2"}}}}}) == "pp is a choice for the whole plan, not for a layer");
  CHECK(reason({{"dp", {"dp", {{"degree", "2"}}}}}) ==
        "dp is not a choice: it takes the devices that the others leave");
  CHECK(reason({{"tp", {}}}) == "");
  CHECK_THROWS_WITH_AS(reason({{"tp", {"tp", {{"degree", "two"}}}}}), "tp.degree: expected a whole number, found 'two'",
                       Error);
}

TEST_CASE("the settings that a search may try start with off and fit the layer") {
  const SpaceContext line{{{2, 2, 2}}, 0};
  CHECK(labels("tp", test::block_dims(), line) == "tp off, tp 2, tp 4");
  CHECK(labels("tp", test::block_dims(16), line) == "tp off, tp 2, tp 4, tp 8");
  CHECK(labels("tp", test::block_dims(16), {{{2, 2, 2}}, 4}) == "tp off, tp 2, tp 4");
  CHECK(labels("tp", test::pooled_dims(), line) == "tp off");
  CHECK(labels("tp", test::block_dims(), {{{2, 3}}, 0}) == "tp off, tp 3, tp 6");
  CHECK(labels("ulysses", test::block_dims(), line) == "ulysses off, ulysses 2, ulysses 4");
  CHECK(labels("ulysses", test::embedding_dims(), line) == "ulysses off, ulysses 2, ulysses 4, ulysses 8");
  CHECK(labels("zero", test::block_dims(), line) == "zero off, zero 1, zero 2, zero 3");
  CHECK(labels("megatron_sp", test::block_dims(), line) == "megatron_sp off, megatron_sp");
  CHECK(labels("ckpt", test::block_dims(), line) == "ckpt off, ckpt full");
  CHECK(labels("dp", test::block_dims(), line) == "dp off");
  CHECK(labels("pp", test::block_dims(), line) == "pp off");
}

TEST_CASE("a strategy in one line tells numbers first") {
  CHECK(to_string(strategy("ckpt: full, tp: {degree: 2}, megatron_sp: on, zero: {stage: 2}")) ==
        "tp 2, zero 2, ckpt full, megatron_sp");
  CHECK(to_string(Strategy{}) == "-");
}
