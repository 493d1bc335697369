// The options of family t5 (Raffel et al. 2020).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trellis/plan/model.h"
#include "trellis/plan/option_fields.h"

namespace trellis::t5 {

struct T5Options {
  std::int64_t hidden, layers, decoder_layers, heads;
  std::int64_t head_dim;                // times heads need not be hidden
  std::int64_t ffn;
  std::string activation;               // relu; gated_gelu: tanh form, times a second product (T5 1.1)
  std::int64_t vocab, vocab_multiple;   // tables have vocab rounded up; the loss masks the surplus
  std::int64_t sequence, target;        // tokens of the encoder's and of the decoder's sequence
  std::int64_t buckets, max_distance;   // of the biases by distance
  bool tied;                            // the head's table is the embedding's
  bool scaled;                          // the head's input is, by 1 / sqrt(hidden)
  double dropout, attention_dropout, norm_eps;
  double init_factor;                   // of all initial weights
  std::int64_t loss_chunk;              // tokens whose logits exist at a time

  static T5Options read(const Options&);  // Error with the option's place
  T5Options shrunk() const;               // heads, ffn and vocabulary still divide by 4
  Options written() const;

  std::int64_t padded_vocab() const { return round_up(vocab, vocab_multiple); }
  std::vector<Dim> dims() const;

 private:
  void each(OptionFields);
};

}  // namespace trellis::t5
