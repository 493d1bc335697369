// Texts and their labels, for models that classify samples (fields ids, positions, segments, mask; labels, one a sample).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/samples/labelled.h"
#include "run/data/sample_order.h"
#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

struct LabelledSamples {
  std::shared_ptr<const LabelledTexts> texts;
  std::vector<std::int64_t> chosen;  // the samples, by their place in `texts`; one or more
  double weight = 1;
};

struct LabelledOptions {
  std::int64_t sequence = 0;  // 3 or more: what is longer is cut at its end
  TokenId cls = 0, sep = 0;
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
};

// A sample is [CLS] text [SEP], then padding. Thread-safe.
class TRELLIS_API LabelledSource final : public DataSource {
 public:
  LabelledSource(std::vector<LabelledSamples> sources, LabelledOptions options);

  std::int64_t batch() const override { return options_.batch; }
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  const SampleOrder& order() const { return order_; }

 private:
  std::vector<LabelledSamples> sources_;
  LabelledOptions options_;
  SampleOrder order_;
};

}  // namespace trellis::data
