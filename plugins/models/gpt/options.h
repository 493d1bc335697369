// The options of family gpt: decoder-only transformers from GPT-2 to LLaMA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trellis/plan/model.h"
#include "trellis/plan/option_fields.h"
#include "trellis/plan/rotary.h"
#include "trellis/plan/units.h"

namespace trellis::gpt {

struct GptOptions {
  // A preset, from which every choice below that is not written takes its default: "gpt2" or "llama".
  std::string shape;

  bool rotary = false;    // positions: learned | rotary
  bool rms_norm = false;  // norm: layer_norm | rms_norm
  bool swiglu = false;    // activation: gelu (tanh form) | gelu_exact (by the error function) | swiglu (a silu gate)
  bool gelu_exact = false;
  bool bias = true;       // of layer norms, and where nothing else is said of the products:
  bool qkv_bias = true, out_bias = true, mlp_bias = true;
  bool tied = true;  // the head's table is the embedding's

  std::int64_t hidden, layers, heads;
  std::int64_t kv_heads;  // heads: each query head has its own; fewer: grouped queries
  std::int64_t head_dim;  // hidden / heads
  std::int64_t ffn;       // 4 x hidden; llama: 8/3 x hidden, rounded up to a multiple of 256
  std::int64_t vocab;
  std::int64_t vocab_multiple;  // the tables have vocab rounded up to a multiple of this; the loss masks the surplus
  std::int64_t pad_token = -1;  // whose look-ups do not train its row; -1: none
  std::int64_t sequence;
  std::int64_t max_positions;  // rows of a learned table of positions; for rotary ones no more than a note
  std::int64_t window = 0;     // a token sees so many tokens, itself included; 0: all before it
  std::vector<Range> window_layers;  // that have the window; empty: all

  double dropout = 0;  // of what the residual stream receives
  double embedding_dropout = 0;
  double attention_dropout = 0;
  double norm_eps, rope_theta, init_std;
  std::string rope_type = "default";  // or linear, llama3
  RotaryScaling rope_scaling;
  std::int64_t loss_chunk;  // tokens whose logits exist at a time

  // Throws Error with the option's place.
  static GptOptions read(const Options&);
  // The same choices at a size for tests, in which heads, ffn and vocabulary still divide by 4.
  GptOptions shrunk() const;
  Options written() const;

  std::string activation() const;
  bool has_window(std::int64_t block) const;  // one that is shorter than the sequence
  std::int64_t padded_vocab() const;
  std::vector<Dim> dims() const;

 private:
  void each(OptionFields);
};

}  // namespace trellis::gpt
