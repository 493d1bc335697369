// Random tokens with holes: some labels do not count, differently from sample to sample.
#pragma once

#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis {

class TRELLIS_API SyntheticSource final : public DataSource {
 public:
  SyntheticSource(std::int64_t batch, std::int64_t sequence, std::int64_t vocab, std::uint64_t seed, bool holes = true)
      : batch_(batch), sequence_(sequence), vocab_(vocab), seed_(seed), holes_(holes) {}

  std::int64_t batch() const override { return batch_; }
  at::Tensor field(const FieldRequest&) const override;
  std::int64_t counted_items(std::int64_t step) const override;

 private:
  std::int64_t label(std::int64_t sample, std::int64_t position) const;
  std::int64_t token(std::int64_t sample, std::int64_t position) const;
  std::int64_t batch_, sequence_, vocab_;
  std::uint64_t seed_;
  bool holes_;
};

}  // namespace trellis
