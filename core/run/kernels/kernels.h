// The core's kernels, one file an op.
#pragma once

#include <memory>

#include "trellis/run/kernel.h"

namespace trellis {

class Products;

std::shared_ptr<const OpKernel> make_add();
std::shared_ptr<const OpKernel> make_attention();
std::shared_ptr<const OpKernel> make_bias();
std::shared_ptr<const OpKernel> make_bias_at();
std::shared_ptr<const OpKernel> make_cross_entropy(std::shared_ptr<Products>);
std::shared_ptr<const OpKernel> make_dropout();
std::shared_ptr<const OpKernel> make_embedding();
std::shared_ptr<const OpKernel> make_gelu();
std::shared_ptr<const OpKernel> make_layer_norm();
std::shared_ptr<const OpKernel> make_linear(std::shared_ptr<Products>);
std::shared_ptr<const OpKernel> make_multiply();
std::shared_ptr<const OpKernel> make_pick();
std::shared_ptr<const OpKernel> make_relu();
std::shared_ptr<const OpKernel> make_rms_norm();
std::shared_ptr<const OpKernel> make_rotary();
std::shared_ptr<const OpKernel> make_scale();
std::shared_ptr<const OpKernel> make_silu();
std::shared_ptr<const OpKernel> make_tanh();

}  // namespace trellis
