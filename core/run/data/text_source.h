// Samples of text: for models that predict the next token (fields ids, labels, positions), and for those that restore
// masked ones (also segments and mask).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run/data/masking.h"
#include "run/data/text_windows.h"
#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

struct TextOptions {
  std::int64_t sequence = 0;
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
  std::optional<Masking> masking;         // none: labels are the tokens after
  std::int64_t vocab = 0;                 // of the model; 0: tokens are not checked
  std::optional<TokenId> restart_behind;  // positions begin anew behind this token
};

// Samples are windows of `sequence` tokens, and one more than the model sees: every token but the first is a label
// exactly once in an epoch. Attention reaches over the borders of documents. Thread-safe.
class TRELLIS_API TextSource final : public DataSource {
 public:
  // Error as TextWindows.
  TextSource(std::vector<TokenRow> rows, TextOptions options);
  TextSource(std::span<const std::uint16_t> text, TextOptions options);  // of one row

  std::int64_t batch() const override { return options_.batch; }
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  const SampleOrder& order() const { return windows_.order(); }
  std::int64_t sample(std::int64_t step, std::int64_t row) const { return windows_.order()(step, row); }

 private:
  enum class Field { ids, labels, positions, segments, mask };
  Field field_named(const std::string& name) const;
  void write(Field, std::int64_t cursor, std::int64_t sample, std::int64_t begin, std::span<std::int64_t> out) const;
  std::vector<std::int64_t> tokens(std::int64_t sample, std::int64_t end) const;
  void write_positions(std::int64_t sample, std::int64_t begin, std::span<std::int64_t> out) const;

  TextOptions options_;
  TextWindows windows_;
  std::optional<Masker> masker_;
};

}  // namespace trellis::data
