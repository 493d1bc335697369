#include "public_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "trellis/plan/error.h"
#include "trellis/plan/public_block.h"

namespace trellis::gpt {
namespace {

constexpr std::string_view kGpt2 = "transformer.", kLlama = "model.", kHead = "lm_head.weight";

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return text.starts_with(p); });
}

// Products are stored as [in, out]; queries, keys and values are one.
void map_gpt2(const GptOptions& o, WeightMap& map) {
  const int head = static_cast<int>(o.layers) + 1;
  map.add(0, "token.weight", "transformer.wte.weight", {.rows = o.vocab});
  map.add(0, "position.weight", "transformer.wpe.weight");
  for (int i = 0; i < o.layers; ++i) {
    const PublicBlock block(map, i + 1, fmt::format("transformer.h.{}.", i));
    block.linear("ln_1", "ln_1", true);
    constexpr std::array kParts = {"attn.q", "attn.k", "attn.v"};
    for (int part = 0; part < 3; ++part)
      block.add(fmt::format("{}.weight", kParts[part]), "attn.c_attn.weight",
                {.transposed = true, .first = part * o.hidden, .of = 3 * o.hidden});
    for (int part = 0; part < 3; ++part)
      block.add(fmt::format("{}.bias", kParts[part]), "attn.c_attn.bias",
                {.first = part * o.hidden, .of = 3 * o.hidden});
    block.linear("attn.out", "attn.c_proj", true, {.transposed = true});
    block.linear("ln_2", "ln_2", true);
    block.linear("mlp.up", "mlp.c_fc", true, {.transposed = true});
    block.linear("mlp.down", "mlp.c_proj", true, {.transposed = true});
  }
  PublicBlock(map, head, "transformer.").linear("ln_f", "ln_f", true);
  if (o.tied) map.duplicate(std::string(kHead), "transformer.wte.weight");
  else map.add(head, "lm_head.weight", std::string(kHead), {.rows = o.vocab});
}

void map_llama(const GptOptions& o, WeightMap& map) {
  const int head = static_cast<int>(o.layers) + 1;
  map.add(0, "token.weight", "model.embed_tokens.weight", {.rows = o.vocab});
  for (int i = 0; i < o.layers; ++i) {
    const PublicBlock block(map, i + 1, fmt::format("model.layers.{}.", i));
    block.linear("attn.q", "self_attn.q_proj", o.qkv_bias);
    block.linear("attn.k", "self_attn.k_proj", o.qkv_bias);
    block.linear("attn.v", "self_attn.v_proj", o.qkv_bias);
    block.linear("attn.out", "self_attn.o_proj", o.out_bias);
    block.linear("mlp.gate", "mlp.gate_proj", o.mlp_bias);
    block.linear("mlp.up", "mlp.up_proj", o.mlp_bias);
    block.linear("mlp.down", "mlp.down_proj", o.mlp_bias);
    block.add("ln_1.weight", "input_layernorm.weight");
    block.add("ln_2.weight", "post_attention_layernorm.weight");
  }
  map.add(head, "ln_f.weight", "model.norm.weight");
  if (o.tied) map.duplicate(std::string(kHead), "model.embed_tokens.weight");
  else map.add(head, "lm_head.weight", std::string(kHead), {.rows = o.vocab});
}

[[noreturn]] void unsupported(std::string_view what) {
  throw Error(ExitCode::unsupported, fmt::format("no public model type of family gpt has {}", what),
              "known: gpt2, llama, mistral, qwen2; shape: gpt2 and shape: llama alone are two of them");
}

}  // namespace

CanonicalName GptWeights::canonical(std::string_view tensor) const {
  std::string_view rest = tensor;
  if (rest.starts_with(kGpt2)) rest.remove_prefix(kGpt2.size());
  if (starts_with_any(rest, {"wte.", "wpe.", "h.", "ln_f."})) {
    const bool mask = rest.ends_with(".attn.bias") || rest.ends_with(".attn.masked_bias");
    return {.name = std::string(kGpt2) + std::string(rest), .dropped = mask ? "a causal mask, which is computed" : ""};
  }
  rest = tensor;
  if (rest.starts_with(kLlama)) rest.remove_prefix(kLlama.size());
  if (starts_with_any(rest, {"embed_tokens.", "layers.", "norm.", "rotary_emb."})) {
    const bool frequencies = rest.ends_with("rotary_emb.inv_freq");
    return {.name = std::string(kLlama) + std::string(rest),
            .dropped = frequencies ? "rotary frequencies, which are computed" : ""};
  }
  return {.name = std::string(tensor), .dropped = {}};
}

std::string model_type_of(const GptOptions& o) {
  if (!o.rotary) {
    if (o.rms_norm) unsupported("learned positions beside rms_norm");
    if (o.swiglu) unsupported("learned positions beside swiglu");
    if (!(o.bias && o.qkv_bias && o.out_bias && o.mlp_bias)) unsupported("learned positions and products without bias");
    if (o.kv_heads != o.heads) unsupported("learned positions and fewer kv heads than heads");
    if (o.head_dim * o.heads != o.hidden)
      unsupported("learned positions and heads whose sizes do not add up to hidden");
    if (o.window > 0) unsupported("learned positions and a window");
    if (o.pad_token >= 0) unsupported("learned positions and a pad_token");
    return "gpt2";
  }
  if (!o.rms_norm) unsupported("rotary positions beside layer_norm");
  if (!o.swiglu) unsupported("rotary positions beside gelu");
  const bool plain = !o.qkv_bias && !o.out_bias && !o.mlp_bias;
  const bool qkv_alone = o.qkv_bias && !o.out_bias && !o.mlp_bias;
  if (o.window > 0 && plain && o.window_layers.empty()) return "mistral";
  if (o.window > 0 && !qkv_alone) unsupported("a window like this: mistral has it in all blocks and no bias, qwen2 biases of q, k and v alone");
  if (o.qkv_bias == o.out_bias) return "llama";
  if (!o.qkv_bias || o.mlp_bias) unsupported("biases where these options have them");
  return "qwen2";
}

WeightMap GptWeights::map(const Options& options, const ModelSpec& model) const {
  const GptOptions o = GptOptions::read(options);
  WeightMap map(model);
  if (o.rotary) map_llama(o, map);
  else map_gpt2(o, map);
  return map;
}

}  // namespace trellis::gpt
