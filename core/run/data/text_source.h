// Samples of text: for models that predict the next token (fields ids, labels, positions), and for those that restore
// masked ones (also segments and mask).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "run/data/token_stream.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

enum class Order {
  shuffled,  // epoch after epoch, each in an order of its own: for training
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
  std::optional<Masking> masking;  // none: labels are the tokens after
};

// Sample i is the tokens [i x sequence, i x sequence + sequence], one more than the model sees: every token but the
// first is a label exactly once in an epoch. Tokens at the end that do not fill a sample are left out. Thread-safe.
class TRELLIS_API TextSource final : public DataSource {
 public:
  // `text` lives as long as the source. Error where it does not fill one sample.
  TextSource(std::span<const std::uint16_t> text, TextOptions options);

  std::int64_t batch() const override { return options_.batch; }
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  std::int64_t samples() const { return samples_; }
  std::int64_t steps_in_turn() const { return (samples_ + options_.batch - 1) / options_.batch; }
  // Which sample row `row` of a step is, or -1: surplus.
  std::int64_t sample(std::int64_t step, std::int64_t row) const;

 private:
  enum class Field { ids, labels, positions, segments, mask };
  Field field_named(const std::string& name) const;
  std::int64_t entry(Field, std::int64_t cursor, std::int64_t sample, std::int64_t position) const;

  std::span<const std::uint16_t> text_;
  TextOptions options_;
  std::int64_t samples_;
};

// The text of a run: the last `held_out` of it is for evaluation. Reads the files.
struct TRELLIS_API Text {
  Tokens tokens;
  std::size_t training = 0;  // tokens before the held-out ones
  std::size_t files = 0;

  static Text read(const DataSection& section);
  std::span<const std::uint16_t> training_text() const { return std::span(tokens).first(training); }
  std::span<const std::uint16_t> held_out_text() const { return std::span(tokens).subspan(training); }
};

}  // namespace trellis::data
