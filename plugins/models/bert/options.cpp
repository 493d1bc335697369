#include "options.h"

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::bert {

void BertOptions::each(OptionFields f) {
  f.word("task", task, {"masked_lm", "pretraining", "classification"}, "masked_lm");
  f.size("hidden", hidden, 768);
  f.size("layers", layers, 12);
  f.size("heads", heads, 12);
  f.size("head_dim", head_dim, std::max<std::int64_t>(1, hidden / std::max<std::int64_t>(1, heads)));
  f.size("ffn", ffn, 4 * hidden);
  f.size("vocab", vocab, 30522);
  f.size("vocab_multiple", vocab_multiple, 128);
  f.count("pad_token", pad_token, 0);
  f.size("sequence", sequence, 512);
  f.size("max_positions", max_positions, sequence);
  f.size("segments", segments, 2);
  f.size("classes", classes, 2);
  f.flag("tied", tied, true);
  f.word("activation", activation, {"gelu_exact", "gelu", "relu"}, "gelu_exact");
  f.probability("dropout", dropout);
  f.probability("attention_dropout", attention_dropout);
  f.positive("norm_eps", norm_eps, 1e-12);
  f.positive("init_std", init_std, 0.02);
  f.size("loss_chunk", loss_chunk, 1024);
}

BertOptions BertOptions::read(const Options& options) {
  BertOptions o;
  o.each(OptionFields::reading(options));
  if (!options.has("head_dim") && o.hidden % o.heads != 0)
    options.reject("heads", fmt::format("{} heads do not divide hidden {}", o.heads, o.hidden),
                   "change one of them, or write head_dim");
  if (o.sequence > o.max_positions)
    options.reject("sequence", fmt::format("{} tokens, and the table of positions has {} rows (max_positions)",
                                           o.sequence, o.max_positions));
  return o;
}

BertOptions BertOptions::shrunk() const {
  BertOptions o = *this;
  o.hidden = 16, o.layers = std::min<std::int64_t>(layers, 3), o.heads = 4, o.head_dim = 4, o.ffn = 32;
  o.pad_token = std::min<std::int64_t>(pad_token, 1);
  o.vocab = 37, o.vocab_multiple = 8;  // so that padded rows are there to be masked
  o.sequence = o.max_positions = 12;
  o.classes = std::min<std::int64_t>(classes, 5);
  o.loss_chunk = 10;  // so that a batch has several, the last one shorter
  return o;
}

Options BertOptions::written() const {
  Options options = Options::empty("bert");
  BertOptions(*this).each(OptionFields::writing(options));
  return options;
}

std::vector<Dim> BertOptions::dims() const {
  const auto dim = [](std::string name, std::string_view role, std::int64_t size) {
    return Dim{std::move(name), std::string(role), size};
  };
  return {dim("batch", kBatch, 0),
          dim("sequence", kSequence, sequence),
          dim("keys", kSequence, sequence),
          dim("hidden", kHidden, hidden),
          dim("hidden_in", kHidden, hidden),
          dim("heads", kHeads, heads),
          dim("queries_per_head", kHeads, 1),
          dim("head_dim", kOther, head_dim),
          dim("ffn", kFfn, ffn),
          dim("vocab", kVocab, padded_vocab()),
          dim("positions", kPositions, max_positions),
          dim("segments", kOther, segments),
          dim("followers", kOther, 2),
          dim("classes", kOther, classes)};
}

}  // namespace trellis::bert
