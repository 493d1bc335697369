// Folders of BERT, T5 and ViT: heads there and new, older names, what is dropped, and what is refused. The folders are
// those of tests/parity, changed.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "support/paths.h"
#include "support/plugins.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

using namespace test;

// A golden folder, its tensors renamed (to nothing: left out) and its config.json changed.
struct Changed {
  explicit Changed(const std::string& golden,
                   const std::function<std::string(std::string)>& renamed = [](std::string name) { return name; })
      : source(testing::source_dir() / "tests/parity/golden" / golden), file(source / "model.safetensors") {
    config = read_file(source / "config.json");
    for (const TensorView& view : file.tensors())
      if (const std::string name = renamed(view.name); !name.empty()) tensors.push_back({name, view});
  }

  Changed& copy(const std::string& of, const std::string& name) {
    tensors.push_back({name, *file.find(of)});
    return *this;
  }
  // Another tensor, of which nothing but the shape matters.
  Changed& add(const std::string& name, Shape shape) {
    filler.resize(1024);
    TensorView view{.name = name, .dtype = "F32", .shape = std::move(shape), .bytes = {}};
    view.bytes = std::span(filler).first(static_cast<std::size_t>(elements(view.shape)) * 4);
    tensors.push_back({name, view});
    return *this;
  }
  Changed& say(const std::string& old, const std::string& now) {
    const std::size_t at = config.find(old);
    REQUIRE_MESSAGE(at != std::string::npos, old);
    config.replace(at, old.size(), now);
    return *this;
  }
  const std::filesystem::path& write() {
    std::vector<TensorDeclaration> declared;
    for (const auto& [name, view] : tensors) declared.push_back({name, view.dtype, view.shape});
    SafetensorsWriter writer(scratch / "model.safetensors", declared);
    for (const auto& [name, view] : tensors)
      std::memcpy(writer.bytes(name).data(), view.bytes.data(), view.bytes.size());
    writer.commit();
    write_file_atomically(scratch / "config.json", config);
    return scratch.path();
  }
  ImportedModel imported() { return import_model(write(), plugins()); }
  // What is said of it, its path replaced by F; "fine" where it is imported.
  std::string told() {
    try {
      imported();
      return "fine";
    } catch (const Error& error) {
      std::string text = error.what();
      for (std::size_t at; (at = text.find(scratch.path().string())) != std::string::npos;)
        text.replace(at, scratch.path().string().size(), "F");
      return text;
    }
  }

  std::filesystem::path source;
  SafetensorsFile file;
  std::string config;
  std::vector<std::pair<std::string, TensorView>> tensors;
  std::vector<std::byte> filler;
  Scratch scratch;
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string replaced(std::string text, const std::string& old, const std::string& with) {
  for (std::size_t at; (at = text.find(old)) != std::string::npos;) text.replace(at, old.size(), with);
  return text;
}

std::string without(const std::string& name, const std::string& prefix) { return name.starts_with(prefix) ? "" : name; }

std::shared_ptr<const WeightReader> opened(const ImportedModel& imported, const std::filesystem::path& folder,
                                           const std::string& key, const std::string& value) {
  Options options = imported.options;
  options.set(key, value);
  const auto family = plugins().family(imported.family);
  return WeightReader::open(folder, *family, options, family->describe(options));
}

std::vector<double> all_of(const WeightReader& weights, const std::string& parameter, const Shape& shape) {
  std::vector<double> values(static_cast<std::size_t>(elements(shape)));
  weights.read(parameter, {Shape(shape.size(), 0), shape}, 0, elements(shape), values.data());
  return values;
}

using Reasons = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("config.json and the tensors say which head a BERT folder has") {
  for (const auto& [folder, task] : {std::pair("bert-masked-lm", "masked_lm"), {"bert-pretraining", "pretraining"},
                                     {"bert-classification", "classification"}}) {
    const ImportedModel imported = Changed(folder).imported();
    CHECK(imported.options.get("task", "") == task);
    CHECK(imported.weights->fresh().empty());
    CHECK(imported.weights->dropped().empty());
  }
  CHECK(Changed("bert-classification").imported().options.get("classes", 0) == 3);
  CHECK(Changed("bert-pretraining").imported().options.get("activation", "") == "relu");
  CHECK(Changed("bert-untied").imported().options.get("tied", true) == false);
}

TEST_CASE("a BERT folder may have names of TensorFlow, buffers, and copies of what is tied") {
  Changed folder("bert-pretraining", [](const std::string& name) {
    return replaced(replaced(name, "LayerNorm.weight", "LayerNorm.gamma"), "LayerNorm.bias", "LayerNorm.beta");
  });
  folder.add("bert.embeddings.position_ids", {1, 7})
      .copy("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
      .copy("cls.predictions.bias", "cls.predictions.decoder.bias");
  const ImportedModel imported = folder.imported();
  CHECK(imported.weights->dropped() ==
        Reasons{{"bert.embeddings.position_ids", "positions, which are counted"},
                {"cls.predictions.decoder.bias", "equals cls.predictions.bias, to which it is tied"},
                {"cls.predictions.decoder.weight",
                 "equals bert.embeddings.word_embeddings.weight, to which it is tied"}});
  CHECK(imported.weights->folder().renamed().at("cls.predictions.transform.LayerNorm.gamma") ==
        "cls.predictions.transform.LayerNorm.weight");
  export_folder(*imported.weights, public_weights(*family("bert"), "bert"), imported.options, folder.scratch / "out", "", {});
  CHECK(read_file(folder.scratch / "out/model.safetensors") == read_file(folder.source / "model.safetensors"));
}

TEST_CASE("of a tied bias BERT files may have either name") {
  for (const char* golden : {"bert-pretraining", "bert-untied"}) {
    Changed folder(golden, [](const std::string& name) { return without(name, "cls.predictions.decoder.bias"); });
    if (std::string(golden) == "bert-untied") CHECK(folder.told() == "fine");
    Changed other(golden, [](const std::string& name) {
      return name == "cls.predictions.bias" ? "cls.predictions.decoder.bias" : without(name, "cls.predictions.decoder.bias");
    });
    CHECK(other.told() == "fine");
  }
}

TEST_CASE("a BERT encoder alone gets a new head, and another task a head of its own") {
  Changed folder("bert-classification", [](const std::string& name) {
    const std::string inner = without(name, "classifier.");
    return inner.starts_with("bert.") ? inner.substr(5) : inner;
  });
  folder.say("BertForSequenceClassification", "BertModel");
  const ImportedModel encoder = folder.imported();
  CHECK(encoder.options.get("task", "") == "classification");
  CHECK(encoder.weights->fresh() == Reasons{{"classifier", "the folder has none"}});
  CHECK(encoder.notes.back() == "the classifier is new and starts from initial weights: the folder has none");
  CHECK(encoder.weights->has("layers.3.pooler.weight"));
  CHECK(!encoder.weights->has("layers.3.classifier.weight"));

  Changed words("bert-pretraining");
  const ImportedModel imported = words.imported();
  const auto classifier = opened(imported, words.scratch.path(), "task", "classification");
  CHECK(classifier->fresh() == Reasons{{"classifier", "the folder has none"}});
  CHECK(classifier->dropped().at("cls.seq_relationship.bias") == "task classification does not use it");
  CHECK(classifier->has("layers.3.pooler.weight"));
  const auto masked = opened(imported, words.scratch.path(), "task", "masked_lm");
  CHECK(masked->fresh().empty());
  CHECK(masked->dropped().size() == 4);
}

TEST_CASE("a head for another number of classes is new as a whole") {
  Changed bert("bert-classification");
  const auto five = opened(bert.imported(), bert.scratch.path(), "classes", "5");
  CHECK(five->fresh() == Reasons{{"classifier", "the folder has classifier.weight [3 8], not [5 8]"}});
  CHECK(five->dropped().at("classifier.bias") == "the classifier is new, for another number of rows");
  Changed vit("vit");
  CHECK(opened(vit.imported(), vit.scratch.path(), "classes", "3")->fresh().size() == 1);
}

TEST_CASE("a head of which a part is missing is a damaged one") {
  Changed folder("bert-classification", [](const std::string& name) { return without(name, "classifier.bias"); });
  CHECK(contains(folder.told(), "1 of 41 tensors that the model needs are missing: classifier.bias"));
}

TEST_CASE("what a BERT folder says and the family cannot is refused by name") {
  const auto told = [](const std::string& old, const std::string& now, const char* folder = "bert-classification") {
    return Changed(folder).say(old, now).told();
  };
  CHECK(contains(told("BertForSequenceClassification", "BertForTokenClassification"),
                 "architectures: 'BertForTokenClassification' is not supported\n    supported: BertForMaskedLM, "
                 "BertForPreTraining, BertForSequenceClassification, BertModel"));
  CHECK(contains(told("BertForSequenceClassification", "BertForMaskedLM"),
                 "architectures: it says BertForMaskedLM, and the tensors have no such head"));
  CHECK(contains(told("\"gelu\"", "\"silu\""), "hidden_act: 'silu' is not supported"));
  CHECK(contains(told("\"is_decoder\": false", "\"is_decoder\": true"), "is_decoder: true is not supported"));
  CHECK(contains(told("\"hidden_act\"", "\"position_embedding_type\": \"relative_key\", \"hidden_act\""),
                 "position_embedding_type: 'relative_key' is not supported\n    supported: absolute"));
  CHECK(contains(told("\"classifier_dropout\": null", "\"classifier_dropout\": 0.5"),
                 "classifier_dropout: a share of its own is not supported"));
  CHECK(contains(told("\"hidden_act\"", "\"problem_type\": \"regression\", \"hidden_act\""),
                 "problem_type: 'regression' is not supported"));
  CHECK(contains(told("    \"2\": \"LABEL_2\"", "    \"2\": \"LABEL_2\", \"3\": \"more\""),
                 "id2label: 4 classes, and classifier.weight has 3 rows"));
  CHECK(contains(told("\"num_attention_heads\": 2", "\"num_attention_heads\": 3"),
                 "num_attention_heads: 3 heads do not divide hidden_size 8"));
  CHECK(contains(told("\"hidden_dropout_prob\": 0.0", "\"hidden_dropout_prob\": 1.5"),
                 "hidden_dropout_prob: found 1.5; expected 0 or more, less than 1"));
  CHECK(contains(told("\"hidden_act\"", "\"rotary_value\": false, \"hidden_act\""), "rotary_value"));
}

TEST_CASE("T5 tables have up to four names, and cross attention a bias that nobody uses") {
  Changed folder("t5");
  const char* copies[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"};
  for (const char* copy : copies) folder.copy("shared.weight", copy);
  folder.add("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", {8, 2});
  const ImportedModel imported = folder.imported();
  CHECK(imported.options.get("tied", false));
  CHECK(imported.weights->dropped().size() == 4);
  for (const char* copy : copies)
    CHECK(imported.weights->dropped().at(copy) == "equals shared.weight, to which it is tied");

  Changed other("t5", [](const std::string& name) { return replaced(name, "shared.", "encoder.embed_tokens."); });
  CHECK(other.imported().weights->folder().renamed() == Reasons{{"encoder.embed_tokens.weight", "shared.weight"}});
}

TEST_CASE("T5's bias by distance is one table a side, by buckets and heads") {
  Changed folder("t5");
  const ImportedModel imported = folder.imported();
  const TensorView& view = *folder.file.find("decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
  const auto values = all_of(*imported.weights, "decoder.distance.weight", {8, 2, 1});
  float third;
  std::memcpy(&third, view.bytes.data() + 3 * sizeof third, sizeof third);
  CHECK(values.at(3) == third);
  CHECK(view.shape == Shape{8, 2});
}

TEST_CASE("whether a T5 head is tied the tensors say, and whether its input is scaled config.json") {
  const std::string kTies = "\"tie_word_embeddings\": true", kScales = "\"scale_decoder_outputs\": true,\n";
  const auto head_of = [](Changed&& folder) {
    const Options options = folder.imported().options;
    return std::string(options.get("tied", true) ? "tied" : "own") + (options.get("scaled", true) ? ", scaled" : "");
  };
  CHECK(head_of(Changed("t5")) == "tied, scaled");
  CHECK(head_of(Changed("t5-untied-gated")) == "own");
  CHECK(head_of(Changed("t5-tied-unscaled")) == "tied");
  CHECK(head_of(Changed("t5-untied-scaled")) == "own, scaled");
  // Files of older libraries have no scale_decoder_outputs.
  CHECK(head_of(std::move(Changed("t5").say(kScales, ""))) == "tied, scaled");
  CHECK(head_of(std::move(Changed("t5").say(kScales, "").say(kTies, "\"tie_word_embeddings\": false"))) == "tied");
  CHECK(head_of(std::move(Changed("t5").say(kScales, "").add("lm_head.weight", {19, 8}))) == "own, scaled");
  CHECK(head_of(std::move(Changed("t5").say(kTies, "\"tie_word_embeddings\": false").copy("shared.weight", "lm_head.weight"))) ==
        "tied, scaled");
  CHECK(Changed("t5").add("lm_head.weight", {19, 8}).imported().notes.front() ==
        "lm_head.weight differs from shared.weight: the tables are not tied, though config.json says so");
  CHECK(contains(Changed("t5").say("\"relu\"", "\"gelu\"").say("\"relu\"", "\"gated-silu\"").told(),
                 "feed_forward_proj: 'gated-silu' is not supported\n    supported: relu, gated-gelu"));
  CHECK(contains(Changed("t5").say("T5ForConditionalGeneration", "T5EncoderModel").told(),
                 "architectures: 'T5EncoderModel' is not supported"));
  CHECK(contains(Changed("t5").say("_num_buckets\": 8", "_num_buckets\": 6").told(),
                 "relative_attention_num_buckets: found 6; expected a multiple of 4"));
}

TEST_CASE("a ViT folder may have the names that the library uses in memory, and parts of other heads") {
  Changed folder("vit", [](std::string name) {
    for (const auto& [file, memory] : {std::pair("encoder.layer.", "layers."),
                                       {"attention.attention.query.", "attention.q_proj."},
                                       {"attention.attention.key.", "attention.k_proj."},
                                       {"attention.attention.value.", "attention.v_proj."},
                                       {"attention.output.dense.", "attention.o_proj."},
                                       {"intermediate.dense.", "mlp.fc1."},
                                       {"output.dense.", "mlp.fc2."}})
      name = replaced(name, file, memory);
    return name;
  });
  folder.add("vit.embeddings.mask_token", {1, 1, 8}).add("vit.pooler.dense.weight", {8, 8}).add("vit.pooler.dense.bias", {8});
  const ImportedModel imported = folder.imported();
  CHECK(imported.options.get("classes", 0) == 5);
  CHECK(imported.weights->dropped().size() == 3);
  CHECK(imported.weights->dropped().at("vit.pooler.dense.bias") == "the classifier reads the class token itself");
  export_folder(*imported.weights, public_weights(*family("vit"), "vit"), imported.options, folder.scratch / "out", "", {});
  CHECK(read_file(folder.scratch / "out/model.safetensors") == read_file(folder.source / "model.safetensors"));

  Changed encoder("vit", [](const std::string& name) {
    const std::string inner = without(name, "classifier.");
    return inner.starts_with("vit.") ? inner.substr(4) : inner;
  });
  encoder.say("ViTForImageClassification", "ViTModel");
  CHECK(encoder.imported().weights->fresh() == Reasons{{"classifier", "the folder has none"}});
}

TEST_CASE("ViT positions are resampled once for images of another size, and the file has them after an export") {
  Changed folder("vit");
  const ImportedModel imported = folder.imported();
  const auto larger = opened(imported, folder.scratch.path(), "image_size", "10");  // 3x3 positions to 5x5
  CHECK(larger->resampled() ==
        Reasons{{"vit.embeddings.position_embeddings", "3x3 positions resampled to 5x5"}});
  const auto now = all_of(*larger, "layers.0.position.weight", {26, 8});
  const auto then = all_of(*imported.weights, "layers.0.position.weight", {10, 8});
  for (std::size_t c = 0; c < 8; ++c) {
    CHECK(now[c] == then[c]);                                // of the class token
    CHECK(now[8 + 12 * 8 + c] == then[8 + 4 * 8 + c]);       // the middle stays in the middle
  }
  Options options = imported.options;
  options.set("image_size", "10");
  export_folder(*larger, public_weights(*family("vit"), "vit"), options, folder.scratch / "out", "", {});
  const ImportedModel again = import_model(folder.scratch / "out", plugins());
  CHECK(again.options.get("image_size", 0) == 10);
  CHECK(again.notes.empty());
  const auto written = all_of(*again.weights, "layers.0.position.weight", {26, 8});
  for (std::size_t i = 0; i < now.size(); ++i) CHECK(written[i] == static_cast<double>(static_cast<float>(now[i])));
}

TEST_CASE("what a ViT folder says and the family cannot is refused by name") {
  const auto told = [](const std::string& old, const std::string& now) { return Changed("vit").say(old, now).told(); };
  CHECK(contains(told("\"image_size\": 6", "\"image_size\": [6, 8]"), "image_size: 6 x 8 is not supported\n    supported: squares"));
  CHECK(Changed("vit").say("\"image_size\": 6", "\"image_size\": [6, 6]").told() == "fine");
  CHECK(contains(told("\"patch_size\": 2", "\"patch_size\": 4"), "patch_size: patches of 4 pixels do not divide images of 6"));
  CHECK(contains(told("\"num_channels\": 3", "\"num_channels\": 1"),
                 "tensor 'vit.embeddings.patch_embeddings.projection.weight' is [8 3 2 2], and the model needs [8 1 2 2]"));
  CHECK(contains(told("ViTForImageClassification", "ViTForDepth"), "architectures: 'ViTForDepth' is not supported"));
  CHECK(contains(told("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\""), "hidden_act: 'relu' is not supported"));
  CHECK(contains(told("\"image_size\": 6", "\"image_size\": \"six\""), "image_size"));
}

TEST_CASE("what families write as config.json they read back") {
  struct Case {
    const char *family, *yaml;
  };
  for (const Case& c : {Case{"bert", "layers: 1\ntask: classification\nclasses: 7\nactivation: gelu\n"},
                        Case{"bert", "layers: 1\ntask: pretraining\ndropout: 0.25\n"},
                        Case{"t5", "layers: 1\ndecoder_layers: 2\nactivation: gated_gelu\ntied: off\ndropout: 0.1\n"},
                        Case{"t5", "layers: 1\ntied: off\nscaled: on\n"},
                        Case{"vit", "layers: 1\nimage_size: 32\npatch_size: 8\nclasses: 7\nqkv_bias: off\n"}}) {
    class Nothing final : public WeightTensors {
      bool has(std::string_view tensor) const override {
        return tensor.starts_with("classifier") || tensor.starts_with("cls.") || tensor.starts_with("lm_head");
      }
      Shape shape(std::string_view) const override { return {7, 768}; }
      bool equal(std::string_view, std::string_view) const override { return false; }
    };
    INFO(c.yaml);
    const PublicWeights& weights = public_weights(*family(c.family), c.family);
    const std::string config = weights.write_config(Options::from_text(c.yaml, "test"));
    std::string then = config;
    if (c.family == std::string("bert")) then = replaced(then, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    const ConfigReading read = read_config(then, "config.json", weights, Nothing());
    CHECK(weights.write_config(read.options) == then);
  }
  CHECK_THROWS_WITH_AS(public_weights(*family("t5"), "t5").write_config(Options::from_text("attention_dropout: 0.5", "test")),
                       doctest::Contains("attention_dropout of its own"), Error);
  CHECK_THROWS_WITH_AS(public_weights(*family("bert"), "bert").write_config(Options::from_text("head_dim: 32", "test")),
                       doctest::Contains("do not add up to hidden"), Error);
}

}  // namespace trellis
