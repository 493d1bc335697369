// What is imported and exported is the same, byte for byte.
#include <doctest/doctest.h>

#include <algorithm>

#include "plan/weights/elements.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "plan/weights/json.h"
#include "support/plugins.h"
#include "support/public_folder.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using namespace test;

const PublicWeights& gpt() { return public_weights(*plugins().family("gpt"), "gpt"); }

// As training does: every parameter read whole, and written whole.
void write_parameters(const ImportedModel& model, WeightExport& target) {
  for (const auto& [name, shape] : model.weights->map().parameters()) {
    std::vector<double> wide(static_cast<std::size_t>(elements(shape)));
    model.weights->read(name, {Shape(shape.size(), 0), shape}, 0, elements(shape), wide.data());
    const std::vector<float> narrow(wide.begin(), wide.end());
    target.write(name, std::as_bytes(std::span(narrow)));
  }
}

std::map<std::string, std::string> all_of(const WeightMap& map, const std::string& dtype) {
  std::map<std::string, std::string> dtypes;
  for (const WeightPiece& piece : map.pieces()) dtypes[piece.tensor] = dtype;
  return dtypes;
}

ImportedModel written(const std::filesystem::path& folder, const std::string& config,
                      const std::vector<PublicTensor>& tensors) {
  write_folder(folder, config, tensors);
  return import_model(folder, plugins());
}

std::vector<std::string> files_of(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("parameters that are read from a folder and written make the same file") {
  for (const bool llama : {false, true}) {
    const Scratch folder;
    const ImportedModel model = llama ? written(folder / "in", llama_config(), llama_tensors())
                                      : written(folder / "in", kGpt2Config, gpt2_tensors());
    WeightExport target(folder / "out", model.weights->map(), all_of(model.weights->map(), "F32"));
    write_parameters(model, target);
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
    target.commit();
    CHECK(read_file(folder / "out" / "model.safetensors") == read_file(folder / "in" / "model.safetensors"));
  }
}

TEST_CASE("an imported folder is exported as it was, with what stood beside the weights") {
  const Scratch folder;
  const ImportedModel model = written(folder / "in", kGpt2Config, gpt2_tensors());
  write_file_atomically(folder / "in" / "tokenizer.json", "{}");
  write_file_atomically(folder / "in" / "generation_config.json", "{\"top_k\": 3}");
  write_file_atomically(folder / "in" / "README.md", "not ours");
  export_folder(*model.weights, gpt(), model.options, folder / "out", "", {});
  CHECK(files_of(folder / "out") ==
        std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"});
  for (const std::string& name : files_of(folder / "out"))
    CHECK(read_file(folder / "out" / name) == read_file(folder / "in" / name));
  CHECK(files_of(folder.path()) == std::vector<std::string>{"in", "out"});
}

TEST_CASE("older names become today's, and buffers go") {
  const Scratch folder;
  auto tensors = gpt2_tensors("");
  tensors.push_back({"h.0.attn.bias", {1, 1, 12, 12}});
  const ImportedModel model = written(folder / "in", kGpt2Config, tensors);
  export_folder(*model.weights, gpt(), model.options, folder / "out", "", {});
  const SafetensorsFile in(folder / "in" / "model.safetensors"), out(folder / "out" / "model.safetensors");
  CHECK(out.tensors().size() == 28);
  for (const TensorView& view : out.tensors()) {
    const TensorView* before = in.find(view.name.substr(std::string("transformer.").size()));
    REQUIRE(before);
    CHECK(std::equal(view.bytes.begin(), view.bytes.end(), before->bytes.begin(), before->bytes.end()));
  }
}

TEST_CASE("large weights are cut into shards in the order of the model") {
  const Scratch folder;
  const ImportedModel model = written(folder / "in", kGpt2Config, gpt2_tensors());
  export_folder(*model.weights, gpt(), model.options, folder / "out", "", {.shard = Bytes(10'000)});
  CHECK(files_of(folder / "out") ==
        std::vector<std::string>{"config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                 "model-00003-of-00003.safetensors", "model.safetensors.index.json"});
  const Json index = parse_json(read_file(folder / "out" / "model.safetensors.index.json"), "index");
  CHECK(index["metadata"]["total_size"] == 21'056);
  CHECK(index["weight_map"]["transformer.wte.weight"] == "model-00001-of-00003.safetensors");
  CHECK(index["weight_map"]["transformer.ln_f.bias"] == "model-00003-of-00003.safetensors");
  const ImportedModel again = import_model(folder / "out", plugins());
  export_folder(*again.weights, gpt(), again.options, folder / "whole", "", {});
  CHECK(read_file(folder / "whole" / "model.safetensors") == read_file(folder / "in" / "model.safetensors"));
}

TEST_CASE("another dtype rounds to the nearest, and config.json says so") {
  const Scratch folder;
  const ImportedModel model = written(folder / "in", kGpt2Config, gpt2_tensors());
  export_folder(*model.weights, gpt(), model.options, folder / "half", "BF16", {});
  const SafetensorsFile in(folder / "in" / "model.safetensors"), half(folder / "half" / "model.safetensors");
  const TensorView &wide = *in.find("transformer.wpe.weight"), &narrow = *half.find("transformer.wpe.weight");
  CHECK(narrow.dtype == "BF16");
  for (std::size_t i = 0; i < wide.bytes.size() / 4; ++i) {
    const float exact = element::load<float>(wide.bytes.data() + 4 * i),
                rounded = element::bf16(narrow.bytes.data() + 2 * i);
    CHECK(std::abs(rounded - exact) <= std::abs(exact) / 256);
  }
  const std::string config = read_file(folder / "half" / "config.json");
  CHECK(config.find("\"torch_dtype\": \"bfloat16\"") != std::string::npos);
  const ImportedModel again = import_model(folder / "half", plugins());
  export_folder(*again.weights, gpt(), again.options, folder / "same", "", {});
  CHECK(read_file(folder / "same" / "model.safetensors") == read_file(folder / "half" / "model.safetensors"));
}

TEST_CASE("elements of all dtypes are read as they are") {
  const auto f16 = [](std::uint16_t bits) {
    return load_element(ElementType::f16, reinterpret_cast<const std::byte*>(&bits));
  };
  CHECK(f16(0x3c00) == 1);
  CHECK(f16(0xc000) == -2);
  CHECK(f16(0x3555) == 0.333251953125);
  CHECK(f16(0x0001) == 0x1p-24);
  CHECK(f16(0x83ff) == -1023 * 0x1p-24);
  CHECK(f16(0x7bff) == 65504);
  CHECK(std::isinf(f16(0xfc00)));
  CHECK(std::isnan(f16(0x7e00)));
  CHECK(element::to_bf16(1.0f) == 0x3f80);
  CHECK(element::to_bf16(1.00390625f) == 0x3f80);  // ties go to even
  CHECK(element::to_bf16(1.01171875f) == 0x3f82);
  CHECK(element::to_bf16(-0.0f) == 0x8000);
  CHECK((element::to_bf16(std::nanf("")) & 0x7fff) > 0x7f80);
}

TEST_CASE("a changed option changes its key of config.json and no other") {
  const Scratch folder;
  const std::string config =
      llama_config("mistral", R"("rope_theta": 10000.0, "sliding_window": 16, "eos_token_id": 2)");
  const ImportedModel model = written(folder / "in", config, llama_tensors());
  CHECK(exported_config(gpt(), model.options, &model.weights->folder(), "F32") == config);
  Options shorter = Options::from_text(model.options.to_yaml(), "test");
  shorter.set("sequence", "4");
  CHECK(exported_config(gpt(), shorter, &model.weights->folder(), "F32") == config);
  shorter.set("norm_eps", "0.001");
  Json changed = parse_json(config, "test");
  changed["rms_norm_eps"] = 0.001;
  CHECK(parse_json(exported_config(gpt(), shorter, &model.weights->folder(), "F32"), "test") == changed);
}

TEST_CASE("an export of another model type has no key that only the former one has, and reads back") {
  const Scratch folder;
  const ImportedModel model = written(folder / "in", llama_config("mistral", R"("sliding_window": 4)"), llama_tensors());
  Options full = Options::from_text(model.options.to_yaml(), "test");
  full.set("window", "0");
  full.set("pad_token", "1");
  const Json llama = parse_json(exported_config(gpt(), full, &model.weights->folder(), "F32"), "test");
  CHECK(llama["model_type"] == "llama");
  CHECK_FALSE(llama.contains("sliding_window"));
  CHECK(llama["pad_token_id"] == 1);
  write_file_atomically(folder / "in" / "config.json", llama.dump());
  const ImportedModel again = import_model(folder / "in", plugins());
  CHECK(again.options.get<std::int64_t>("window", -1) == 0);
  Options none = Options::from_text(again.options.to_yaml(), "test");
  none.set("pad_token", "-1");
  CHECK(parse_json(exported_config(gpt(), none, &again.weights->folder(), "F32"), "test")["pad_token_id"].is_null());
}

TEST_CASE("a model that was never imported gets a config.json of its type, which means the same") {
  struct NoTensors final : WeightTensors {
    bool has(std::string_view) const override { return false; }
    Shape shape(std::string_view) const override { return {}; }
    bool equal(std::string_view, std::string_view) const override { return false; }
  };
  const auto type_of = [](const std::string& yaml) {
    const Options options = Options::from_text(yaml, "test");
    const std::string text = exported_config(gpt(), options, nullptr, "F32");
    const Options again = read_config(text, "config.json", gpt(), NoTensors()).options;
    const auto family = plugins().family("gpt");
    CHECK(fingerprint(family->describe(again)) == fingerprint(family->describe(options)));
    return parse_json(text, "test")["model_type"].get<std::string>();
  };
  CHECK(type_of("{shape: gpt2, layers: 2, hidden: 16, heads: 4}") == "gpt2");
  CHECK(type_of("{shape: gpt2, layers: 2, hidden: 16, heads: 4, activation: gelu_exact, tied: off}") == "gpt2");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, kv_heads: 2, rope_theta: 5e5}") == "llama");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, rope_scaling: {type: linear, factor: 2}}") == "llama");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, rope_scaling: {type: llama3, factor: 8, "
                "original_max_positions: 8192, low_freq_factor: 1, high_freq_factor: 4}}") == "llama");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, head_dim: 8, bias: on}") == "llama");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, qkv_bias: on, tied: on}") == "qwen2");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, sequence: 64, window: 64}") == "mistral");
  CHECK(type_of("{shape: llama, layers: 2, hidden: 16, heads: 4, sequence: 64, window: 8}") == "mistral");
  CHECK(type_of("{shape: llama, layers: 4, hidden: 16, heads: 4, sequence: 64, qkv_bias: on, window: 8}") == "qwen2");
  CHECK(type_of("{shape: llama, layers: 4, hidden: 16, heads: 4, sequence: 64, qkv_bias: on, window: 8, "
                "window_layers: \"0,2\"}") == "qwen2");
  CHECK_THROWS_WITH(type_of("{shape: llama, layers: 4, hidden: 16, heads: 4, sequence: 64, window: 8, window_layers: 0-1}"),
                    doctest::Contains("has a window like this"));
  CHECK_THROWS_WITH(type_of("{shape: gpt2, pad_token: 0}"), doctest::Contains("learned positions and a pad_token"));
  CHECK_THROWS_WITH(type_of("{shape: gpt2, positions: rotary}"),
                    doctest::Contains("no public model type of family gpt has rotary positions beside layer_norm"));
  CHECK_THROWS_WITH(type_of("{shape: gpt2, heads: 12, kv_heads: 4}"), doctest::Contains("fewer kv heads than heads"));
}

TEST_CASE("an export into what is there already is refused, and one that fails leaves nothing") {
  const Scratch folder;
  const ImportedModel model = written(folder / "in", kGpt2Config, gpt2_tensors());
  CHECK_THROWS_WITH(export_folder(*model.weights, gpt(), model.options, folder / "in", "", {}),
                    doctest::Contains("there is something in it"));
  { WeightExport given_up(folder / "out", model.weights->map(), all_of(model.weights->map(), "F32")); }
  CHECK(files_of(folder.path()) == std::vector<std::string>{"in"});
  std::filesystem::create_directory(folder / "empty");
  export_folder(*model.weights, gpt(), model.options, folder / "empty/", "", {});
  CHECK(files_of(folder / "empty").size() == 2);
}

TEST_CASE("an export names the classes as the data does") {
  const std::string config = R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "x"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1, "x": 2}})";
  CHECK(parse_json(with_class_names(config, {"cat", "dog"}), "test") ==
        parse_json(R"({"id2label": {"0": "cat", "1": "dog", "2": "x"}, "label2id": {"cat": 0, "dog": 1, "x": 2}})", "test"));
  CHECK(with_class_names(config, {}) == config);
  CHECK(with_class_names(config, {"LABEL_0"}) == config);
  CHECK(with_class_names("{\"a\":  1}", {"cat"}) == "{\"a\":  1}");
}

}  // namespace trellis
