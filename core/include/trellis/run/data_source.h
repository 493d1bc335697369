// Where the samples of a run come from. There is one global cursor: step k of a run uses samples [k x batch, (k+1) x
// batch) of one seeded order, whatever the plan and the number of ranks. Every rank cuts its own piece; integer fields
// are never sent.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis {

// A piece of one batch field. Rows count from the first sample of the step; rows at or beyond the batch are surplus
// (micro-batches that do not divide) and carry no weight: labels -1, ids 0, masks 0. Positions at or beyond the unpadded
// sequence are padding, likewise.
struct FieldRequest {
  std::string name;                       // "ids", "positions", "labels"
  std::int64_t step = 0;
  std::int64_t row_begin = 0, row_end = 0;
  std::int64_t position_begin = 0, position_end = 0;  // [0, 1) where the field has no sequence
  std::int64_t sequence = 0;              // unpadded positions of the field's sequence; 0: it has none
  std::int64_t features = 0;              // of a real field: numbers at each position
};

class TRELLIS_API DataSource {
 public:
  virtual ~DataSource();
  virtual std::int64_t batch() const = 0;
  // On the CPU: int64 [rows, positions]; of a real field f32 [rows, positions, features]. Thread-safe.
  virtual at::Tensor field(const FieldRequest&) const = 0;
  // Labels >= 0 of that field in the whole step: what its term of the loss is divided by.
  virtual std::int64_t counted_items(std::int64_t step, std::string_view labels) const = 0;
};

}  // namespace trellis
