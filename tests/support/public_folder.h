// Folders of public weights, tiny and made by a seed: GPT-2 as [in, out] products with one for queries, keys and
// values, LLaMA with grouped kv heads. What is in them no more than tells elements apart.
#pragma once

#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "plan/weights/safetensors.h"
#include "trellis/plan/files.h"

namespace trellis::test {

struct PublicTensor {
  std::string name;
  Shape shape;
};

inline std::vector<PublicTensor> gpt2_tensors(const std::string& prefix = "transformer.", int layers = 2) {
  std::vector<PublicTensor> t = {{prefix + "wte.weight", {37, 16}}, {prefix + "wpe.weight", {12, 16}}};
  for (int i = 0; i < layers; ++i) {
    const std::string h = prefix + "h." + std::to_string(i) + ".";
    for (const PublicTensor& x : std::vector<PublicTensor>{{"ln_1.weight", {16}},
                                                           {"ln_1.bias", {16}},
                                                           {"attn.c_attn.weight", {16, 48}},
                                                           {"attn.c_attn.bias", {48}},
                                                           {"attn.c_proj.weight", {16, 16}},
                                                           {"attn.c_proj.bias", {16}},
                                                           {"ln_2.weight", {16}},
                                                           {"ln_2.bias", {16}},
                                                           {"mlp.c_fc.weight", {16, 32}},
                                                           {"mlp.c_fc.bias", {32}},
                                                           {"mlp.c_proj.weight", {32, 16}},
                                                           {"mlp.c_proj.bias", {16}}})
      t.push_back({h + x.name, x.shape});
  }
  t.push_back({prefix + "ln_f.weight", {16}});
  t.push_back({prefix + "ln_f.bias", {16}});
  return t;
}

inline const std::string kGpt2Config = R"({
  "architectures": ["GPT2LMHeadModel"],
  "model_type": "gpt2",
  "vocab_size": 37,
  "n_positions": 12,
  "n_ctx": 12,
  "n_embd": 16,
  "n_layer": 2,
  "n_head": 4,
  "n_inner": 32,
  "activation_function": "gelu_new",
  "resid_pdrop": 0.0,
  "embd_pdrop": 0.0,
  "attn_pdrop": 0.0,
  "layer_norm_epsilon": 1e-05,
  "bos_token_id": 36,
  "torch_dtype": "float32",
  "use_cache": true
}
)";

inline std::vector<PublicTensor> llama_tensors(bool biases = false) {
  std::vector<PublicTensor> t = {{"model.embed_tokens.weight", {37, 16}}};
  for (int i = 0; i < 2; ++i) {
    const std::string h = "model.layers." + std::to_string(i) + ".";
    const auto product = [&](const std::string& name, std::int64_t rows, std::int64_t columns, bool bias) {
      t.push_back({h + name + ".weight", {rows, columns}});
      if (bias) t.push_back({h + name + ".bias", {rows}});
    };
    product("self_attn.q_proj", 16, 16, biases);
    product("self_attn.k_proj", 8, 16, biases);
    product("self_attn.v_proj", 8, 16, biases);
    product("self_attn.o_proj", 16, 16, false);
    product("mlp.gate_proj", 32, 16, false);
    product("mlp.up_proj", 32, 16, false);
    product("mlp.down_proj", 16, 32, false);
    t.push_back({h + "input_layernorm.weight", {16}});
    t.push_back({h + "post_attention_layernorm.weight", {16}});
  }
  t.push_back({"model.norm.weight", {16}});
  t.push_back({"lm_head.weight", {37, 16}});
  return t;
}

// `more` goes before the end.
inline std::string llama_config(const std::string& type = "llama", const std::string& more = "") {
  return R"({
  "model_type": ")" +
         type + R"(",
  "vocab_size": 37,
  "hidden_size": 16,
  "intermediate_size": 32,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "hidden_act": "silu",
  "max_position_embeddings": 12,
  "rms_norm_eps": 1e-06,
  "pad_token_id": null)" +
         (more.empty() ? "" : ",\n  " + more) + "\n}\n";
}

// Around 0 for matrices, around 1 for the weights of norms, each element its own.
inline void fill(const PublicTensor& tensor, std::span<std::byte> bytes, std::mt19937& random) {
  const bool norm = tensor.name.ends_with("norm.weight") || tensor.name.find("ln_") != std::string::npos;
  const float middle = norm && tensor.name.ends_with("weight") ? 1.0f : 0.0f;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    const float value = middle + (static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f) * 0.6f;
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
}

inline void write_tensors(const std::filesystem::path& file, const std::vector<PublicTensor>& tensors,
                          unsigned seed = 5) {
  std::vector<TensorDeclaration> declared;
  for (const PublicTensor& tensor : tensors) declared.push_back({tensor.name, "F32", tensor.shape});
  SafetensorsWriter writer(file, declared);
  std::mt19937 random(seed);
  for (const PublicTensor& tensor : tensors) fill(tensor, writer.bytes(tensor.name), random);
  writer.commit();
}

inline void write_folder(const std::filesystem::path& folder, const std::string& config,
                         const std::vector<PublicTensor>& tensors, unsigned seed = 5) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "config.json", config);
  write_tensors(folder / "model.safetensors", tensors, seed);
}

}  // namespace trellis::test
