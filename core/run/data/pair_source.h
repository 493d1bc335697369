// Pairs of sentences, for models that restore masked tokens and tell whether the second sentence follows the first (fields
// ids, positions, segments, mask, labels; next_sentence_labels, one a sample).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/samples/sentences.h"
#include "run/data/framed.h"
#include "run/data/masking.h"
#include "run/data/sample_order.h"
#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

struct PairOptions {
  std::int64_t sequence = 0;  // 5 or more
  TokenId cls = 0, sep = 0;
  Masking masking;
  std::int64_t vocab = 0;  // of the model
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
};

// Sample i is a chunk of a document: as many sentences as fill the sequence. It is [CLS] a [SEP] b [SEP], where a are the
// chunk's first sentences, and b in half of the samples the others (label 0), else sentences from another document, if
// there is one (label 1; so it is where the chunk is one sentence). Of too long a pair the longer part loses tokens at its
// ends. All this is drawn anew each time that a sample comes round, by (seed, number of the sample in the run).
// Thread-safe. Devlin et al. 2019, appendix A.2.
class TRELLIS_API PairSource final : public DataSource {
 public:
  // Error where a source has no sentence; held-out ones that have none are left out where another has some.
  PairSource(std::vector<Sentences> sources, PairOptions options);

  std::int64_t batch() const override { return options_.batch; }
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  const SampleOrder& order() const { return *order_; }

 private:
  struct Pair {
    std::vector<std::int64_t> a, b;
    bool follows = false;
  };
  struct Source {
    Sentences text;
    std::vector<std::int64_t> chunks;  // one past the last sentence of each
  };
  static std::vector<std::int64_t> chunks_of(const Sentences& text, std::int64_t tokens);
  Pair pair(std::int64_t cursor, std::int64_t sample) const;
  std::int64_t elsewhere(const Sentences& text, std::int64_t sentence, std::int64_t cursor) const;
  std::vector<std::int64_t> read(const Sentences& text, std::int64_t first, std::int64_t last) const;
  void shorten(Pair& pair, std::int64_t cursor) const;
  void write(const Pair& pair, std::int64_t cursor, const std::string& field, std::int64_t begin, std::span<std::int64_t> out) const;
  std::uint64_t random(std::uint64_t stream, std::int64_t cursor) const;

  PairOptions options_;
  std::vector<Source> sources_;
  std::optional<SampleOrder> order_;
  Masker masker_;
};

}  // namespace trellis::data
