// A few batches of a source that come back in turn, each made once.
#pragma once

#include <ATen/ops/clone.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "run/memory/memory_counter.h"
#include "trellis/run/data_source.h"

namespace trellis::bench {

// What it keeps is not counted as a step's memory, what it gives is. Not thread-safe: one for each rank.
class RepeatedBatches final : public DataSource {
 public:
  RepeatedBatches(std::unique_ptr<DataSource> source, std::int64_t batches) : source_(std::move(source)), batches_(batches) {}

  std::int64_t batch() const override { return source_->batch(); }
  at::Tensor field(const FieldRequest& request) const override {
    FieldRequest r = request;
    r.step %= batches_;
    at::Tensor& known = fields_[{std::string(r.name), r.step, r.row_begin, r.row_end, r.position_begin, r.position_end}];
    if (!known.defined()) {
      const CountMemory apart(kept_, Purpose::activation);
      known = source_->field(r);
    }
    return known.clone();
  }
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override {
    const auto [entry, is_new] = counts_.try_emplace({step % batches_, std::string(labels)});
    if (is_new) entry->second = source_->counted_items(step % batches_, labels);
    return entry->second;
  }

 private:
  std::unique_ptr<DataSource> source_;
  std::int64_t batches_;
  mutable MemoryCounter kept_;
  mutable std::map<std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>, at::Tensor> fields_;
  mutable std::map<std::pair<std::int64_t, std::string>, std::int64_t> counts_;
};

}  // namespace trellis::bench
