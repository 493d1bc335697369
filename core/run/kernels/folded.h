// A linear op as a product of two matrices, whatever the device.
#pragma once

#include <algorithm>
#include <cstdint>

#include "run/kernels/support.h"
#include "trellis/plan/error.h"

namespace trellis {

// b s I.. -> b s O.., weight [O.. I..]: a product of two matrices once the dims are folded.
struct Folded {
  explicit Folded(const KernelContext& c) {
    const auto& weight_dims = parameter_dims(c, 0);
    for (DimId d : weight_dims) weight.push_back(c.size(d));
    const auto& in = c.op->input_dims[0];
    const auto is_free = [&](DimId d) {
      return std::find(weight_dims.begin(), weight_dims.end(), d) == weight_dims.end();
    };
    leading = static_cast<std::size_t>(std::count_if(in.begin(), in.end(), is_free));
    out_dims = weight_dims.size() - (in.size() - leading);
    if (!std::equal(in.begin() + static_cast<std::ptrdiff_t>(leading), in.end(),
                    weight_dims.begin() + static_cast<std::ptrdiff_t>(out_dims), weight_dims.end()))
      fail(ExitCode::unsupported, "op '{}': the dims that a linear contracts must be the last ones of its input",
           c.op->name);
    for (std::size_t i = 0; i < out_dims; ++i) n *= weight[i];
    for (std::size_t i = out_dims; i < weight_dims.size(); ++i) k *= weight[i];
    for (std::size_t i = 0; i < leading; ++i) lead.push_back(c.size(in[i])), m *= lead.back();
  }
  Shape out_shape() const { return with(0, out_dims); }
  Shape in_shape() const { return with(out_dims, weight.size()); }
  // The weight's gradient pass has no weight: under ZeRO-3 it is gone by then.
  at::Tensor matrix(const KernelContext& c) const { return c.parameters[0].view({n, k}); }

  Shape weight;
  std::size_t leading = 0, out_dims = 0;
  Shape lead;
  std::int64_t m = 1, n = 1, k = 1;

 private:
  Shape with(std::size_t begin, std::size_t end) const {
    Shape shape = lead;
    for (std::size_t i = begin; i < end; ++i) shape.push_back(weight[i]);
    return shape;
  }
};

}  // namespace trellis
