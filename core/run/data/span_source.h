// Samples for models with an encoder, which sees text whose spans are cut out, and a decoder, which tells them (fields ids
// and mask of the one, decoder_ids and labels of the other).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "run/data/span_lengths.h"
#include "run/data/text_windows.h"
#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

struct SpanOptions {
  SpanLengths lengths;
  std::vector<TokenId> sentinels;  // of the first span, the second, ...: as many as there are spans, or more
  TokenId end = 0;                 // behind both
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
  std::int64_t vocab = 0;  // of the model
};

// Samples are windows of `lengths.tokens` tokens. Where their spans are is drawn anew each time that a sample comes round,
// by (seed, number of the sample in the run). The decoder sees token 0, then its labels but the last. Thread-safe.
class TRELLIS_API SpanSource final : public DataSource {
 public:
  // Error as TextWindows.
  SpanSource(std::vector<TokenRow> rows, SpanOptions options);

  std::int64_t batch() const override { return options_.batch; }
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  const SampleOrder& order() const { return windows_.order(); }

 private:
  enum class Field { ids, mask, decoder_ids, labels };
  static Field field_named(const std::string& name);
  std::vector<std::int64_t> values(Field, std::int64_t cursor, std::int64_t sample) const;

  SpanOptions options_;
  TextWindows windows_;
};

}  // namespace trellis::data
