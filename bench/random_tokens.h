// Random tokens: a few batches that come back in turn, so that the loss falls while they are learned by heart.
#pragma once

#include <ATen/core/Tensor.h>

#include "trellis/run/data_source.h"

namespace trellis::bench {

struct TokenShape {
  std::int64_t batches = 0, samples = 0, sequence = 0, vocab = 0;
};

class RandomTokens final : public DataSource {
 public:
  RandomTokens(const TokenShape&, std::uint64_t seed);
  std::int64_t batch() const override { return shape_.samples; }
  at::Tensor field(const FieldRequest&) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;
  const at::Tensor& tokens() const { return tokens_; }  // int32 [batches, samples, sequence + 1]

 private:
  TokenShape shape_;
  at::Tensor tokens_;
};

}  // namespace trellis::bench
