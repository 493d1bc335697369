// The options of family bert (Devlin et al. 2019).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trellis/plan/model.h"
#include "trellis/plan/option_fields.h"

namespace trellis::bert {

struct BertOptions {
  // What is trained: masked_lm; pretraining, with a head that tells whether the second segment follows; classification
  // of samples.
  std::string task;
  std::int64_t hidden, layers, heads, head_dim, ffn;
  std::int64_t vocab, vocab_multiple;      // tables have vocab rounded up; the loss masks the surplus
  std::int64_t pad_token = 0;              // whose look-ups do not train its row
  std::int64_t sequence, max_positions;    // tokens of a sample, rows of the table of positions
  std::int64_t segments;                   // kinds of tokens
  std::int64_t classes;                    // of task classification
  bool tied;                               // the head's table is the embedding's
  std::string activation;                  // gelu_exact (by the error function) | gelu (tanh form) | relu
  double dropout, attention_dropout, norm_eps, init_std;
  std::int64_t loss_chunk;                 // tokens whose logits exist at a time

  static BertOptions read(const Options&);  // Error with the option's place
  BertOptions shrunk() const;               // heads, ffn and vocabulary still divide by 4
  Options written() const;

  std::int64_t padded_vocab() const { return round_up(vocab, vocab_multiple); }
  std::vector<Dim> dims() const;

 private:
  void each(OptionFields);
};

}  // namespace trellis::bert
