#include "options.h"

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::t5 {

void T5Options::each(OptionFields f) {
  f.size("hidden", hidden, 512);
  f.size("layers", layers, 6);
  f.size("decoder_layers", decoder_layers, layers);
  f.size("heads", heads, 8);
  f.size("head_dim", head_dim, 64);
  f.size("ffn", ffn, 2048);
  f.word("activation", activation, {"relu", "gated_gelu"}, "relu");
  f.size("vocab", vocab, 32128);
  f.size("vocab_multiple", vocab_multiple, 128);
  f.size("sequence", sequence, 512);
  f.size("target", target, 114);
  f.size("buckets", buckets, 32);
  f.size("max_distance", max_distance, 128);
  f.flag("tied", tied, true);
  f.flag("scaled", scaled, tied);
  f.probability("dropout", dropout);
  f.probability("attention_dropout", attention_dropout, dropout);
  f.positive("norm_eps", norm_eps, 1e-6);
  f.positive("init_factor", init_factor, 1);
  f.size("loss_chunk", loss_chunk, 1024);
}

T5Options T5Options::read(const Options& options) {
  T5Options o;
  o.each(OptionFields::reading(options));
  if (o.buckets % 4 != 0) options.reject("buckets", fmt::format("found {}; expected a multiple of 4", o.buckets));
  if (o.max_distance <= o.buckets / 2)
    options.reject("max_distance", fmt::format("found {}; expected more than {}, half of the buckets", o.max_distance,
                                               o.buckets / 2));
  return o;
}

T5Options T5Options::shrunk() const {
  T5Options o = *this;
  o.hidden = 16, o.heads = 4, o.head_dim = 6, o.ffn = 32;
  o.layers = std::min<std::int64_t>(layers, 2), o.decoder_layers = std::min<std::int64_t>(decoder_layers, 2);
  o.vocab = 37, o.vocab_multiple = 8;  // so that padded rows are there to be masked
  o.sequence = 12, o.target = 9;
  o.buckets = 8, o.max_distance = 10;
  o.loss_chunk = 10;  // so that a batch has several, the last one shorter
  return o;
}

Options T5Options::written() const {
  Options options = Options::empty("t5");
  T5Options(*this).each(OptionFields::writing(options));
  return options;
}

std::vector<Dim> T5Options::dims() const {
  const auto dim = [](std::string name, std::string_view role, std::int64_t size) {
    return Dim{std::move(name), std::string(role), size};
  };
  return {dim("batch", kBatch, 0),
          dim("source", kSequence, sequence),
          dim("target", kSequence, target),
          dim("source_keys", kSequence, sequence),
          dim("target_keys", kSequence, target),
          dim("hidden", kHidden, hidden),
          dim("heads", kHeads, heads),
          dim("queries_per_head", kHeads, 1),
          dim("head_dim", kOther, head_dim),
          dim("ffn", kFfn, ffn),
          dim("vocab", kVocab, padded_vocab()),
          dim("buckets", kOther, buckets)};
}

}  // namespace trellis::t5
