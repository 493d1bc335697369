#include <ATen/ops/arange.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/max.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"

namespace trellis::cuda {
namespace {

// b s -> b s h over the rows that this rank holds. Ids of other rows, and negative ones, give zero rows.
class Embedding final : public OpKernel {
 public:
  void forward(KernelContext& c) const override {
    const at::Tensor &table = c.parameters[0], &ids = input(c, 0);
    check(c, table);
    const Rows r = rows(c, table);
    Shape shape = ids.sizes().vec();
    shape.push_back(table.size(1));
    give(c.output, at::index_select(table, 0, r.row).masked_fill_(r.elsewhere.unsqueeze(1), 0), shape,
         table.scalar_type());
  }

  void weight_gradient(KernelContext& c) const override {
    const at::Tensor gradient = parameter_gradient(c, 0);
    if (!gradient.defined()) return;
    const Rows r = rows(c, gradient);
    const at::Tensor dy = output_gradient(c).view({r.row.numel(), gradient.size(1)}).to(gradient.scalar_type());
    // Sorts, and adds each row's tokens up in their order.
    const c10::List<std::optional<at::Tensor>> rows_of_tokens({r.row});
    const std::int64_t untrained = c.op->integer("untrained", -1);
    const at::Tensor left_out = untrained < 0 ? r.elsewhere : r.elsewhere.logical_or(input(c, 0).view({-1}).eq(untrained));
    gradient.index_put_(rows_of_tokens, dy.masked_fill(left_out.unsqueeze(1), 0), true);
  }
  void input_gradient(KernelContext&) const override {}  // ids have none

 private:
  struct Rows {
    at::Tensor row;        // of each token, in the local table; any row, each about as often, for those elsewhere
    at::Tensor elsewhere;  // tokens whose row is not here
  };
  static std::int64_t first_row(const KernelContext& c) {
    const auto d = static_cast<std::size_t>(parameter_dims(c, 0)[0]);
    return d < c.offset.size() ? c.offset[d] : 0;
  }
  static Rows rows(const KernelContext& c, const at::Tensor& table) {
    const at::Tensor ids = input(c, 0).view({-1}), row = ids.sub(first_row(c));
    const at::Tensor elsewhere = ids.lt(0).logical_or_(row.lt(0)).logical_or_(row.ge(table.size(0)));
    return {at::where(elsewhere, at::arange(ids.numel(), ids.options()).remainder_(table.size(0)), row), elsewhere};
  }

  // Waits for the device: an id that has no row would end it.
  static void check(const KernelContext& c, const at::Tensor& table) {
    const at::Tensor& ids = input(c, 0);
    if (ids.scalar_type() != at::kLong)
      fail(ExitCode::failure, "the ids of op '{}' are not 64-bit integers", c.op->name);
    if (ids.numel() == 0) return;
    const std::int64_t all_rows = c.layer->dims[static_cast<std::size_t>(parameter_dims(c, 0)[0])].size;
    const std::int64_t id = at::max(ids).item<std::int64_t>();
    if (id >= std::max(all_rows, first_row(c) + table.size(0)))
      fail("op '{}': id {} is not below the table's {} rows", c.op->name, id, all_rows);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_embedding() { return std::make_shared<Embedding>(); }

}  // namespace trellis::cuda
