// One rank against the same model written plainly on LibTorch's autograd, in float64.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <string>

#include "equivalence/equivalence.h"

namespace trellis::test {

using Parameters = std::map<std::string, at::Tensor>;

// A plain model's parameters by full name, and the whole batch fields by name.
struct PlainInputs {
  Parameters p, fields;

  const at::Tensor& operator()(const std::string& name) const { return p.at(name); }
  const at::Tensor& field(const std::string& name) const { return fields.at(name); }
  // The weight is [out ..., in ...].
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    const at::Tensor w = (*this)(name + ".weight");
    const at::Tensor y = at::matmul(x, w.reshape({-1, x.size(-1)}).t());
    return p.contains(name + ".bias") ? y + (*this)(name + ".bias").flatten() : y;
  }
  at::Tensor layer_norm(const at::Tensor& x, const std::string& name, double eps) const {
    return at::layer_norm(x, {x.size(-1)}, (*this)(name + ".weight"), (*this)(name + ".bias"), eps);
  }
  at::Tensor rms_norm(const at::Tensor& x, const std::string& name, double eps) const {
    return x * at::rsqrt(x.pow(2).mean(-1, true) + eps) * (*this)(name + ".weight");
  }
};

// The mean over the rows of [.. classes] that have a label.
inline at::Tensor plain_cross_entropy(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor rows = logits.view({-1, logits.size(-1)}), wanted = labels.view({-1});
  const at::Tensor picked = -at::log_softmax(rows, -1).gather(1, wanted.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor counts = wanted.ge(0).to(at::kDouble);
  return (picked * counts).sum() / counts.sum();
}

// q: b s heads d, k and v: b t heads d; `added` to the scores b h s t, undefined where nothing is.
inline at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                                  const at::Tensor& added) {
  at::Tensor scores = at::einsum("bshd,bthd->bhst", {q, k}) * scale;
  if (added.defined()) scores = scores + added;
  return at::einsum("bhst,bthd->bshd", {scores.softmax(-1), v}).flatten(2);
}
// Minus infinity where keys [b t] are not there.
inline at::Tensor hidden_keys(const at::Tensor& mask) {
  return at::zeros(mask.sizes(), at::kDouble).masked_fill(mask.eq(0), -INFINITY).view({mask.size(0), 1, 1, mask.size(1)});
}

// Trains a few steps, then compares loss and all gradients to 1e-10.
void compare_with_plain(Trained&, const std::function<at::Tensor(const PlainInputs&)>& plain_loss);

}  // namespace trellis::test
