// The kernel of the family's op, in the second library.
#include <ATen/ops/softplus.h>

#include "trellis/run/autograd_kernel.h"
#include "trellis/run/plugin.h"

TRELLIS_RUN_PLUGIN("soft", "1.0.0") {
  kernels.add("scaled_softplus", std::make_shared<const trellis::AutogradKernel>([](const auto& call) {
    return at::softplus(call.inputs[0]).mul(call.parameters[0]);
  }));
}
