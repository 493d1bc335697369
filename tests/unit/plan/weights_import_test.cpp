// Folders of public weights: what they mean to family gpt, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>

#include "plan/weights/import.h"
#include "support/plugins.h"
#include "support/public_folder.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using namespace test;

// What is said of a folder, its path replaced by F; "fine" where it is imported.
std::string told(const Scratch& folder) {
  try {
    import_model(folder.path(), plugins());
    return "fine";
  } catch (const Error& error) {
    std::string text = error.what();
    for (std::size_t at; (at = text.find(folder.path().string())) != std::string::npos;)
      text.replace(at, folder.path().string().size(), "F");
    return text;
  }
}

std::string told_of_config(const std::string& config, const std::vector<PublicTensor>& tensors) {
  const Scratch folder;
  write_folder(folder.path(), config, tensors);
  return told(folder);
}

std::string replaced(std::string text, const std::string& old, const std::string& with) {
  const std::size_t at = text.find(old);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), with);
}

std::vector<PublicTensor> without(std::vector<PublicTensor> tensors, const std::string& name) {
  std::erase_if(tensors, [&](const PublicTensor& tensor) { return tensor.name == name; });
  return tensors;
}

std::vector<PublicTensor> with(std::vector<PublicTensor> tensors, const std::string& name, Shape shape) {
  tensors.push_back({name, std::move(shape)});
  return tensors;
}

float element_of(const WeightReader& weights, const std::string& tensor, std::int64_t index) {
  float value;
  std::memcpy(&value, weights.folder().at(tensor).view->bytes.data() + index * 4, sizeof value);
  return value;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a GPT-2 folder is a model of family gpt") {
  const Scratch folder;
  write_folder(folder.path(), kGpt2Config, gpt2_tensors());
  const ImportedModel imported = import_model(folder.path(), plugins());
  CHECK(imported.family == "gpt");
  CHECK(imported.model.summary == "gpt2 shape, 2 layers, hidden 16");
  CHECK(imported.model.sequence == 12);
  CHECK(imported.model.vocab == 37);
  CHECK(imported.notes.empty());
  CHECK(imported.weights->dropped().empty());
  CHECK(imported.model.layers.back()->parameters.back().shared == "embedding.weight");
}

TEST_CASE("queries, keys and values of GPT-2 are columns of one tensor that is stored transposed") {
  const Scratch folder;
  write_folder(folder.path(), kGpt2Config, gpt2_tensors());
  const ImportedModel imported = import_model(folder.path(), plugins());
  const WeightReader& weights = *imported.weights;
  // layer 2's k is [4 heads, 4 features, 16 in]; the tensor is [16 in, 48 out], keys from column 16 on
  double got[3];
  weights.read("layers.2.attn.k.weight", {{1, 2, 0}, {4, 4, 16}}, 16 + 5, 16 + 8, got);  // head 1, feature 3, in 5 .. 7
  for (int i = 0; i < 3; ++i)
    CHECK(got[i] == element_of(weights, "transformer.h.1.attn.c_attn.weight", (5 + i) * 48 + 16 + 7));
  weights.read("layers.2.attn.v.bias", {{3, 1}, {4, 4}}, 0, 3, got);
  for (int i = 0; i < 3; ++i) CHECK(got[i] == element_of(weights, "transformer.h.1.attn.c_attn.bias", 32 + 13 + i));
  // attn.out is [16 hidden, 4 heads, 1, 4 features] of [16 in, 16 out]
  weights.read("layers.1.attn.out.weight", {{9, 2, 0, 0}, {10, 4, 1, 4}}, 3, 6, got);  // in 11, 12, 13
  for (int i = 0; i < 3; ++i)
    CHECK(got[i] == element_of(weights, "transformer.h.0.attn.c_proj.weight", (11 + i) * 16 + 9));
}

TEST_CASE("rows that pad the vocabulary are zeros, and in no file") {
  const Scratch folder;
  write_folder(folder.path(), kGpt2Config, gpt2_tensors());
  const ImportedModel imported = import_model(folder.path(), plugins());
  double got[32];
  imported.weights->read("embedding.weight", {{36, 8}, {128, 16}}, 4, 20,
                         got);  // rows of 8: the last real, then padding
  for (int i = 0; i < 4; ++i)
    CHECK(got[i] == element_of(*imported.weights, "transformer.wte.weight", 36 * 16 + 12 + i));
  for (int i = 4; i < 16; ++i) CHECK(got[i] == 0);
}

TEST_CASE("a GPT-2 folder may lack the prefix, and hold causal masks and a copy of its tied table") {
  const Scratch folder;
  auto tensors = with(gpt2_tensors(""), "h.0.attn.bias", {1, 1, 12, 12});
  write_folder(folder.path(), kGpt2Config, with(with(tensors, "h.1.attn.masked_bias", {}), "lm_head.weight", {37, 16}));
  // the copy
  {
    SafetensorsFile file(folder / "model.safetensors");
    std::string bytes = read_file(folder / "model.safetensors");
    const auto at = [&](const char* name) {
      return static_cast<std::size_t>(reinterpret_cast<const char*>(file.find(name)->bytes.data()) -
                                      reinterpret_cast<const char*>(file.tensors().front().bytes.data())) +
             bytes.size();
    };
    std::size_t data = 0;
    for (const TensorView& view : file.tensors()) data += view.bytes.size();
    const std::size_t size = file.find("wte.weight")->bytes.size();
    bytes.replace(at("lm_head.weight") - data, size, bytes.substr(at("wte.weight") - data, size));
    write_file_atomically(folder / "model.safetensors", bytes);
  }
  const ImportedModel imported = import_model(folder.path(), plugins());
  CHECK(imported.weights->dropped() ==
        std::map<std::string, std::string>{{"h.0.attn.bias", "a causal mask, which is computed"},
                                           {"h.1.attn.masked_bias", "a causal mask, which is computed"},
                                           {"lm_head.weight", "equals transformer.wte.weight, to which it is tied"}});
  CHECK(imported.weights->folder().renamed().at("h.0.ln_1.bias") == "transformer.h.0.ln_1.bias");
}

TEST_CASE("a head that differs from the table is one of its own, whatever config.json says") {
  const Scratch folder;
  write_folder(folder.path(), kGpt2Config, with(gpt2_tensors(), "lm_head.weight", {37, 16}));
  const ImportedModel imported = import_model(folder.path(), plugins());
  CHECK(imported.model.layers.back()->parameters.back().shared.empty());
  CHECK(imported.notes == std::vector<std::string>{"lm_head.weight differs from transformer.wte.weight: the tables are "
                                                   "not tied, though config.json says so"});
}

TEST_CASE("a LLaMA folder has grouped kv heads, and rotary settings in the old or the new spelling") {
  for (const std::string more :
       {R"("rope_theta": 500000.0, "rope_scaling": null)",
        R"("rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"})",
        R"("rope_theta": 500000.0, "rope_scaling": {"type": "default", "rope_type": "default"})"}) {
    const Scratch folder;
    write_folder(folder.path(), llama_config("llama", more), llama_tensors());
    const ImportedModel imported = import_model(folder.path(), plugins());
    CHECK(imported.options.get("rope_theta", 0.0) == 500000);
    CHECK(imported.options.get("norm_eps", 0.0) == 1e-6);
    CHECK(imported.model.layers[1]->dim("kv_heads").size == 2);
    CHECK(imported.model.layers[1]->dim("queries_per_kv").size == 2);
    double got[2];
    // q of kv head 1, query 0, feature 2 is row 10
    imported.weights->read("layers.1.attn.q.weight", {{1, 0, 2, 3}, {2, 1, 3, 5}}, 0, 2, got);
    CHECK(got[1] == element_of(*imported.weights, "model.layers.0.self_attn.q_proj.weight", 10 * 16 + 4));
  }
}

TEST_CASE("a LLaMA 3.1 folder turns slowly, as its rope_scaling says") {
  const std::string section = R"("factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                  "original_max_position_embeddings": 8192)";
  for (const std::string& more : {R"("rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", )" + section + "}",
                                 R"("rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", )" + section + "}"}) {
    const Scratch folder;
    write_folder(folder.path(), llama_config("llama", more), llama_tensors());
    const ImportedModel imported = import_model(folder.path(), plugins());
    const Options scaling = imported.options.section("rope_scaling");
    CHECK(scaling.get<std::string>("type", "") == "llama3");
    CHECK(scaling.get("factor", 0.0) == 8);
    CHECK(scaling.get("low_freq_factor", 0.0) == 1);
    CHECK(scaling.get("high_freq_factor", 0.0) == 4);
    CHECK(scaling.get("original_max_positions", 0.0) == 8192);
  }
  const Scratch folder;
  write_folder(folder.path(), llama_config("llama", R"("rope_scaling": {"type": "linear", "factor": 2.0})"),
               llama_tensors());
  CHECK(import_model(folder.path(), plugins()).options.section("rope_scaling").get("factor", 0.0) == 2);
}

TEST_CASE("look-ups of pad_token_id do not train its row, and a negative one counts from the end") {
  const auto with = [](const std::string& token) {
    std::string config = llama_config("llama", "");
    const std::string usual = R"("pad_token_id": null)";
    return config.replace(config.find(usual), usual.size(), fmt::format(R"("pad_token_id": {})", token));
  };
  const auto untrained = [&](const std::string& token) {
    const Scratch folder;
    write_folder(folder.path(), with(token), llama_tensors());
    const ImportedModel imported = import_model(folder.path(), plugins());
    const auto embedding = imported.model.layers.front();
    CHECK(embedding->ops.front().integer("untrained", -1) == imported.options.get<std::int64_t>("pad_token", -1));
    return imported.options.get<std::int64_t>("pad_token", -1);
  };
  CHECK(untrained("null") == -1);
  CHECK(untrained("3") == 3);
  const std::int64_t vocab = untrained("-1") + 1;
  CHECK(told_of_config(with(fmt::format("{}", vocab)), llama_tensors())
            .find(fmt::format("pad_token_id: found {0}; the vocabulary has {0} tokens", vocab)) != std::string::npos);
}

TEST_CASE("a Qwen2 folder has biases of queries, keys and values, and windows in some blocks; a Mistral folder one in all") {
  const Scratch qwen, mistral, windows;
  write_folder(qwen.path(),
               llama_config("qwen2", R"("use_sliding_window": false, "sliding_window": 4, "max_window_layers": 2)"),
               llama_tensors(true));
  CHECK(import_model(qwen.path(), plugins()).model.layers[1]->parameters.size() == 12);
  write_folder(mistral.path(), llama_config("mistral", R"("sliding_window": 8, "head_dim": 4)"), llama_tensors());
  const ImportedModel imported = import_model(mistral.path(), plugins());
  CHECK(imported.model.sequence == 12);
  CHECK(imported.options.get<std::int64_t>("window", 0) == 8);
  CHECK(imported.notes.empty());
  write_folder(windows.path(),
               llama_config("qwen2", R"("use_sliding_window": true, "sliding_window": 4, "max_window_layers": 1)"),
               llama_tensors(true));
  const Options some = import_model(windows.path(), plugins()).options;
  CHECK(some.get<std::int64_t>("window", 0) == 4);
  CHECK(some.get<std::string>("window_layers", "") == "1");
  CHECK(told_of_config(llama_config("qwen2", R"("use_sliding_window": true, "layer_types": ["full_attention"])"),
                       llama_tensors(true))
            .find("layer_types: 1 types for 2 layers") != std::string::npos);
}

TEST_CASE("what a config.json asks for and cannot be is refused by name") {
  const auto llama = [](const std::string& more) {
    return told_of_config(llama_config("llama", more), llama_tensors());
  };
  CHECK(llama("") == "fine");
  CHECK(llama(R"("rope_scaling": {"rope_type": "yarn", "factor": 8.0})") ==
        "F/config.json:13:33: rope_scaling.rope_type: 'yarn' is not supported\n    supported: default, linear, llama3");
  CHECK(contains(llama(R"("rope_scaling": {"type": "linear", "factor": 0.5})"),
                 "rope_scaling.factor: found 0.5; expected 1 or more"));
  CHECK(contains(llama(R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0})"),
                 "rope_scaling.original_max_position_embeddings"));
  CHECK(contains(llama(R"("rope_scaling": {"type": "linear", "factor": 2.0},
                          "rope_parameters": {"rope_type": "linear", "factor": 4.0})"),
                 "rope_parameters.rope_type: config.json also says otherwise"));
  CHECK(contains(llama(R"("rope_theta": 1.0, "rope_parameters": {"rope_theta": 2.0})"),
                 "2, and config.json also says 1"));
  CHECK(contains(llama(R"("partial_rotary_factor": 0.5)"), "rotation of a part of each head is not supported"));
  CHECK(contains(llama(R"("final_logit_softcapping": 30.0)"),
                 "F/config.json:13:3: final_logit_softcapping: unknown option of a config.json of this model_type"));
  CHECK(contains(llama(R"("quantization_config": {"bits": 4})"), "quantization_config: not supported"));
  CHECK(contains(llama(R"("hidden_act": "silu")"), "the key 'hidden_act' is written twice"));
  CHECK(contains(told_of_config(llama_config("phi3"), llama_tensors()),
                 "F/config.json: model_type 'phi3' is not supported\n    supported: bert, gpt2, llama, mistral, qwen2, t5, vit"));
  CHECK(contains(told_of_config("{}", llama_tensors()), "there is no model_type"));
  CHECK(contains(told_of_config("[1", llama_tensors()), "not JSON"));
  const auto gpt2 = [](const std::string& old, const std::string& other) {
    return told_of_config(replaced(kGpt2Config, old, other), gpt2_tensors());
  };
  CHECK(contains(gpt2("gelu_new", "relu"),
                 "activation_function: 'relu' is not supported\n    supported: gelu_new, gelu_pytorch_tanh, gelu"));
  CHECK(contains(gpt2("\"use_cache\": true", "\"scale_attn_by_inverse_layer_idx\": true"), "true is not supported"));
  CHECK(contains(gpt2("\"n_head\": 4", "\"n_head\": 3"), "3 heads do not divide n_embd 16"));
  CHECK(contains(gpt2("\"n_layer\": 2", "\"n_layer\": 1000000000"), "n_layer: found 1000000000; expected 1 to 10000"));
  CHECK(contains(gpt2("\"n_embd\": 16", "\"n_embd\": 4611686018427387904"), "expected 1 to 4194304"));
  CHECK(contains(gpt2("\"n_inner\": 32", "\"n_inner\": -1"), "n_inner: found -1; expected 1 to 4194304"));
  CHECK(contains(gpt2("\"n_head\": 4", "\"n_head\": 0"), "n_head: found 0; expected 1 to 4096"));
  CHECK(contains(gpt2("\"layer_norm_epsilon\": 1e-05", "\"layer_norm_epsilon\": 0"),
                 "norm_eps: found 0; expected more than 0"));
  CHECK(contains(gpt2("\"n_embd\": 16,", ""), "n_embd: required, and not given"));
}

TEST_CASE("a config.json may be any JSON: without spaces, indented by tabs, with characters written as surrogates") {
  std::string text = llama_config("llama", R"("_name_or_path": "a \ud83d\ude00 \/ \t b", "use_cache": null)");
  CHECK(told_of_config(text, llama_tensors()) == "fine");
  for (std::size_t at; (at = text.find("\n  ")) != std::string::npos;) text.replace(at, 3, "\n\t");
  CHECK(told_of_config(text, llama_tensors()) == "fine");
  std::erase_if(text, [](char c) { return c == '\n' || c == '\t' || c == ' '; });
  CHECK(told_of_config(text, llama_tensors()) == "fine");
}

TEST_CASE("tensors that are missing, too many, or of another shape are listed") {
  CHECK(told_of_config(kGpt2Config, without(gpt2_tensors(), "transformer.h.1.ln_2.bias")) ==
        "F: 1 of 28 tensors that the model needs are missing: transformer.h.1.ln_2.bias");
  CHECK(contains(told_of_config(kGpt2Config, with(gpt2_tensors(), "score.weight", {2, 16})),
                 "F: 1 tensors are no parameters of the model: score.weight"));
  CHECK(contains(told_of_config(kGpt2Config, gpt2_tensors("transformer.", 3)),
                 "12 tensors are no parameters of the model"));
  CHECK(contains(told_of_config(replaced(kGpt2Config, "\"n_inner\": 32", "\"n_inner\": 48"), gpt2_tensors()),
                 "tensor 'transformer.h.0.mlp.c_fc.weight' is [16 32], and the model needs [16 48]"));
  CHECK(contains(told_of_config(llama_config("llama"), without(llama_tensors(), "lm_head.weight")),
                 "missing: lm_head.weight"));
  CHECK(contains(told_of_config(kGpt2Config, with(gpt2_tensors(), "wte.weight", {37, 16})),
                 "are both tensor 'transformer.wte.weight'"));
}

TEST_CASE("folders without weights that can be read are refused with the reason") {
  const Scratch folder;
  CHECK(contains(told(folder), "F: there is no config.json"));
  write_file_atomically(folder / "config.json", kGpt2Config);
  CHECK(contains(told(folder), "F: there is neither model.safetensors nor model.safetensors.index.json"));
  write_file_atomically(folder / "pytorch_model.bin", "PK");
  CHECK(contains(told(folder),
                 "F: the weights are pickled only (pytorch_model.bin): reading a pickle runs whatever code is in it"));
  write_file_atomically(folder / "adapter_model.safetensors", "");
  CHECK(contains(told(folder), "found adapter_model.safetensors"));
  CHECK_THROWS_AS(WeightFolder(folder / "nowhere"), Error);
}

TEST_CASE("shards and their index agree, or are refused") {
  const Scratch folder;
  const auto tensors = gpt2_tensors();
  const std::vector<PublicTensor> one(tensors.begin(), tensors.begin() + 10), two(tensors.begin() + 10, tensors.end());
  write_file_atomically(folder / "config.json", kGpt2Config);
  write_tensors(folder / "a.safetensors", one);
  write_tensors(folder / "b.safetensors", two);
  const auto index = [&](const std::string& second, const std::string& more = "", std::size_t leave_out = 99) {
    std::string text = "{\"metadata\": {}, \"weight_map\": {";
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (i != leave_out) text += fmt::format("\"{}\": \"{}\", ", tensors[i].name, i < 10 ? "a.safetensors" : second);
    text += more;
    if (more.empty()) text.resize(text.size() - 2);
    write_file_atomically(folder / "model.safetensors.index.json", text + "}}");
    return told(folder);
  };
  CHECK(index("b.safetensors") == "fine");
  CHECK(contains(index("c.safetensors"), "F/model.safetensors.index.json: 1 of 2 shards are missing: c.safetensors"));
  CHECK(contains(index("a.safetensors"), "tensor 'transformer.h.0.mlp.c_fc.bias' is not in a.safetensors"));
  CHECK(contains(index("../b.safetensors"), "expected the name of a file of this folder"));
  CHECK(contains(index("b.safetensors", "\"more\": \"b.safetensors\""), "tensor 'more' is not in b.safetensors"));
  CHECK(contains(index("b.safetensors", "", 3),
                 "F/a.safetensors: tensor 'transformer.h.0.ln_1.bias' is not in model.safetensors.index.json"));
  write_tensors(folder / "b.safetensors", with(two, one[0].name, one[0].shape));
  CHECK(contains(index("b.safetensors"), "F/b.safetensors: tensor 'transformer.wte.weight' is also in a.safetensors"));
  write_tensors(folder / "model.safetensors", tensors);
  CHECK(contains(index("b.safetensors"), "there are both model.safetensors and model.safetensors.index.json"));
  std::filesystem::remove(folder / "model.safetensors");
  write_file_atomically(folder / "model.safetensors.index.json", "{\"weight_map\": 3}");
  CHECK(contains(told(folder), "expected an object with 'weight_map'"));
}

TEST_CASE("an imported model is the base of a run file") {
  const Scratch folder;
  write_folder(folder / "it's \"here\"", llama_config(), llama_tensors());
  const ImportedModel imported = import_model(folder / "it's \"here\"", plugins());
  write_file_atomically(folder / "model.yaml", model_file(imported, folder / "it's \"here\""));
  write_file_atomically(folder / "run.yaml",
                        "base: model\nmodel: {dropout: 0.1}\ntrain: {steps: 1, batch: 2}\nexport: out\n");
  const RunFile run = RunFile::load(folder / "run.yaml");
  CHECK(run.weights == folder / "it's \"here\"");
  CHECK(run.export_folder == "out");
  const ModelSpec model = describe_model(run, plugins());
  CHECK(open_weights(run, model, plugins())->map().pieces().size() == 21);
  const RunFile again = RunFile::read(Options::from_text(run.resolved(), "again"));
  CHECK(again.weights == run.weights);
  CHECK(again.export_folder == std::filesystem::absolute("out"));
}

}  // namespace trellis
