// Which tokens a model is to tell, and what it sees in their place.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// Devlin et al. 2019: of the chosen tokens, which alone have a label, 80 % become the mask token, 10 % any token, and 10 %
// stay. Chosen anew each time that a sample comes round, by (seed, number of the sample in the run, position).
struct Masking {
  double share = 0.15;
  std::int64_t mask_id = 0;
  std::int64_t vocab = 0;            // random tokens are below it
  std::vector<WordPart> word_parts;  // by token; not empty: words are chosen as a whole, what is apart stands alone
};

// Thread-safe. Tokens are a piece of sample number `cursor` of the run, its first one at position `first`, where a word
// begins or its part that is in the piece.
class TRELLIS_API Masker {
 public:
  Masker(Masking masking, std::uint64_t seed) : masking_(std::move(masking)), seed_(seed) {}
  void hide(std::int64_t cursor, std::int64_t first, std::span<std::int64_t> tokens) const;  // what the model sees
  void ask(std::int64_t cursor, std::int64_t first, std::span<std::int64_t> tokens) const;   // labels: -1 where not chosen
  std::int64_t count(std::int64_t cursor, std::int64_t first, std::span<const std::int64_t> tokens) const;

 private:
  template <class Visit>
  void visit(std::int64_t cursor, std::int64_t first, std::span<const std::int64_t> tokens, Visit visit) const;
  std::int64_t seen(std::int64_t cursor, std::int64_t position, std::int64_t token) const;
  WordPart part(std::int64_t token) const;

  Masking masking_;
  std::uint64_t seed_;
};

}  // namespace trellis::data
