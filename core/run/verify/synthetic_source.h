// Batch fields of any model, made up by seed, with holes: some entries do not count, differently from sample to sample.
#pragma once

#include <map>
#include <string>

#include "trellis/plan/export.h"
#include "trellis/plan/op.h"
#include "trellis/run/data_source.h"

namespace trellis {

// Fields are filled with what the model's ops expect of them (fields_of). Where a sequence has a mask, samples are of
// different lengths, and nothing counts in the padding. Labels are the tokens after those of "ids" where both are of one
// range, so that there is something to learn.
class TRELLIS_API SyntheticSource final : public DataSource {
 public:
  SyntheticSource(std::int64_t batch, std::map<std::string, FieldSpec> fields, std::uint64_t seed, bool holes = true);

  std::int64_t batch() const override { return batch_; }
  at::Tensor field(const FieldRequest&) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

 private:
  const FieldSpec& find(std::string_view name) const;
  std::int64_t entry(std::string_view name, const FieldSpec&, std::int64_t sample, std::int64_t position) const;
  std::int64_t length(const FieldSpec&, std::int64_t sample) const;
  std::uint64_t random(std::uint64_t stream, std::int64_t sample, std::int64_t position) const;

  std::int64_t batch_;
  std::map<std::string, FieldSpec> fields_;
  std::uint64_t seed_;
  bool holes_;
};

}  // namespace trellis
