#include "run/profile/any_values.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>

#include "run/kernels/support.h"

namespace trellis::profile {

at::Tensor any_values(const StageProgram& stage, SlotId field, const LayerSpec& spec, const Op& op, std::size_t input,
                      const OpLibrary& ops, const at::TensorOptions& device, std::int64_t rows) {
  const Slot& slot = stage.slots[static_cast<std::size_t>(field)];
  if (slot.dtype != Dtype::i64) return at::randn(slot.shape, device.dtype(at::kFloat)).to(scalar_type(slot.dtype));
  const FieldRange range = ops.find(op.kind).field(spec, op, input);
  if (range.kind == FieldKind::mask) return at::ones(slot.shape, device.dtype(at::kLong));  // all there: the most work
  const std::int64_t values = rows > 0 && range.values > 0 ? std::min(rows, range.values) : std::max(rows, range.values);
  return at::randint(std::max<std::int64_t>(1, values), slot.shape, device.dtype(at::kLong));
}

}  // namespace trellis::profile
