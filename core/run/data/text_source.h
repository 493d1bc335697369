// Samples of text: for models that predict the next token (fields ids, labels, positions), and for those that restore
// masked ones (also segments and mask).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/samples/blend.h"
#include "data/samples/run_data.h"
#include "run/data/token_stream.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

enum class Order {
  shuffled,  // epoch after epoch, each in an order of its own, blended by weight: for training
  in_turn,   // every sample once, in the text's order; rows after the last are surplus: for evaluation
};

// Devlin et al. 2019: of the chosen tokens, which alone have a label, 80 % become the mask token, 10 % any token, and 10 %
// stay. Chosen anew each time that a sample comes round, by (seed, number of the sample in the run, position).
struct Masking {
  double share = 0.15;
  std::int64_t mask_id = 0;
  std::int64_t vocab = 0;  // random tokens are below it
};

struct TextOptions {
  std::int64_t sequence = 0;
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
  std::optional<Masking> masking;         // none: labels are the tokens after
  std::int64_t vocab = 0;                 // of the model; 0: tokens are not checked
  std::optional<TokenId> restart_behind;  // positions begin anew behind this token
};

// Sample i of a row of tokens is [i x sequence, i x sequence + sequence], one more than the model sees: every token but
// the first is a label exactly once in an epoch. Tokens at the end that do not fill a sample are left out. Documents
// are joined: attention reaches over their borders. Samples of several rows are numbered one row after another; which
// comes when is a function of the cursor alone. Thread-safe.
class TRELLIS_API TextSource final : public DataSource {
 public:
  // Error where a row does not fill one sample; held-out rows that do not are left out where another does.
  TextSource(std::vector<TokenRow> rows, TextOptions options);
  TextSource(std::span<const std::uint16_t> text, TextOptions options);  // of one row

  std::int64_t batch() const override { return options_.batch; }
  // Error (bad_input) for a token that the model does not know, with the name of its row and its place there.
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  std::int64_t samples() const { return samples_; }
  std::int64_t steps_in_turn() const { return (samples_ + options_.batch - 1) / options_.batch; }
  // Which sample row `row` of a step is, or -1: surplus.
  std::int64_t sample(std::int64_t step, std::int64_t row) const;

 private:
  enum class Field { ids, labels, positions, segments, mask };
  Field field_named(const std::string& name) const;
  bool is_chosen(std::int64_t cursor, std::int64_t position) const;
  std::int64_t masked(Field, std::int64_t cursor, std::int64_t position, std::int64_t token) const;

  struct Place {
    const TokenRow* row;
    std::int64_t begin;  // of the sample's tokens
  };
  Place place(std::int64_t sample) const;
  void read(const Place& place, std::int64_t from, std::span<std::int64_t> out) const;
  void write_positions(const Place& place, std::int64_t begin, std::int64_t end, std::int64_t* out) const;

  std::vector<TokenRow> rows_;
  TextOptions options_;
  std::vector<std::int64_t> ends_;  // of each row's samples
  std::int64_t samples_ = 0;
  std::unique_ptr<const Blend> blend_;
};

// The text of a run: the last `held_out` of each row is for evaluation. Reads the files.
struct TRELLIS_API Text {
  std::vector<TokenRow> training, held_out;
  std::int64_t tokens = 0;
  std::size_t files = 0;
  std::optional<TokenId> end_of_document;
  double unigram_entropy = 0;  // of the training text

  static Text read(const DataSection& section, const Tokenizer* tokenizer);
};

}  // namespace trellis::data
