// Families bert, vit and t5: published sizes, batch fields, options that do not fit.
#include <doctest/doctest.h>

#include <string>

#include "support/paths.h"
#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/plan/model_family.h"
#include "trellis/plan/op.h"

namespace trellis::test {
namespace {

ModelSpec configured(const std::string& name, const std::string& key = {}, const std::string& value = {}) {
  Options file = Options::from_file(testing::source_dir() / "configs/models" / (name + ".yaml"));
  if (!key.empty()) file.set("model." + key, value);
  const Options model = file.section("model");
  ModelSpec spec = family(model.required<std::string>("use"))->describe(model);
  model.finish();
  return spec;
}

ModelSpec described(const std::string& name, const std::string& text) {
  return family(name)->describe(Options::from_text(text, "model.yaml"));
}

std::string message_of(const std::string& name, const std::string& text) {
  try {
    described(name, text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::map<std::string, FieldSpec> fields(const ModelSpec& model) { return fields_of(model, OpLibrary()); }

}  // namespace

TEST_CASE("encoders have the published number of parameters, with their masked-token head") {
  CHECK(parameter_elements(configured("bert-base", "vocab_multiple", "1")) == 109'514'298);
  CHECK(parameter_elements(configured("bert-large", "vocab_multiple", "1")) == 335'174'458);
}

TEST_CASE("vision transformers have the published number of parameters, with 1000 classes") {
  CHECK(parameter_elements(configured("vit-b-16")) == 86'567'656);
  CHECK(parameter_elements(configured("vit-l-16")) == 304'326'632);
  CHECK(parameter_elements(configured("vit-h-14")) == 632'045'800);
}

TEST_CASE("encoders and decoders have the published number of parameters") {
  CHECK(parameter_elements(configured("t5-small")) == 60'506'624);
  CHECK(parameter_elements(configured("t5-base")) == 222'903'552);
  CHECK(parameter_elements(configured("t5-large")) == 737'668'096);
  CHECK(parameter_elements(configured("t5-3b")) == 2'851'598'336);
}

TEST_CASE("a model's batch fields are those that its ops read, with their ranges") {
  const auto bert = fields(described("bert", "{vocab: 100, sequence: 20, max_positions: 32, task: pretraining}"));
  CHECK(bert.size() == 6);
  CHECK(bert.at("ids").range.kind == FieldKind::ids);
  CHECK(bert.at("ids").range.values == 100);  // rows that pad the table are no tokens
  CHECK(bert.at("ids").positions == 20);
  CHECK(bert.at("positions").range.kind == FieldKind::positions);
  CHECK(bert.at("segments").range.values == 2);
  CHECK(bert.at("mask").range.kind == FieldKind::mask);
  CHECK(bert.at("labels").range.kind == FieldKind::labels);
  CHECK(bert.at("labels").range.values == 100);
  CHECK(bert.at("next_sentence_labels").range.values == 2);
  CHECK(bert.at("next_sentence_labels").sequence.empty());

  const auto vit = fields(described("vit", "{}"));
  CHECK(vit.at("patches").range.kind == FieldKind::real);
  CHECK(vit.at("patches").positions == 197);
  CHECK(vit.at("patches").features == 768);
  CHECK(vit.at("labels").range.values == 1000);

  const auto t5 = fields(described("t5", "{}"));
  CHECK(t5.at("ids").positions == 512);
  CHECK(t5.at("mask").sequence == "source");
  CHECK(t5.at("decoder_ids").positions == 114);
  CHECK(t5.at("labels").sequence == "target");
}

TEST_CASE("options that do not fit are refused with their place") {
  CHECK(message_of("bert", "{heads: 7}") ==
        "model.yaml:1:9: heads: 7 heads do not divide hidden 768\n    change one of them, or write head_dim");
  CHECK(message_of("bert", "{sequence: 20, max_positions: 10}") ==
        "model.yaml:1:12: sequence: 20 tokens, and the table of positions has 10 rows (max_positions)");
  CHECK(message_of("bert", "{task: masked_ml}") == "model.yaml:1:8: task: there is no 'masked_ml'\n    did you mean 'masked_lm'?");
  CHECK(message_of("bert", "{classes: 0}") == "model.yaml:1:11: classes: found 0; expected 1 or more");
  CHECK(message_of("bert", "{dropout: 1}") == "model.yaml:1:11: dropout: found 1; expected 0 or more, less than 1");
  CHECK(message_of("bert", "{norm_eps: 0}") == "model.yaml:1:12: norm_eps: found 0; expected more than 0");
  CHECK(message_of("vit", "{patch_size: 15}") ==
        "model.yaml:1:14: patch_size: patches of 15 pixels do not divide images of 224");
  CHECK(message_of("t5", "{buckets: 30}") == "model.yaml:1:11: buckets: found 30; expected a multiple of 4");
  CHECK(message_of("t5", "{max_distance: 16}") ==
        "model.yaml:1:16: max_distance: found 16; expected more than 16, half of the buckets");
}

TEST_CASE("a shrunk family writes options that describe it again") {
  for (const std::string name : {"bert", "vit", "t5"}) {
    const Options small = family(name)->shrink(Options::empty());
    CHECK(parameter_elements(family(name)->describe(small)) < 30'000);
    small.finish();
  }
}

}  // namespace trellis::test
