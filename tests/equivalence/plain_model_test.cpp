#include <cmath>

#include "equivalence/plain_model.h"

namespace trellis::test {
namespace {

// Both shapes as the papers write them: Radford et al. 2019 (GPT-2), Touvron et al. 2023 (LLaMA).
struct PlainGpt {
  bool llama = false;
  std::int64_t layers = 3, hidden = 16, heads = 4, kv_heads = 4, vocab = 37;
  Parameters p;

  std::int64_t head_dim() const { return hidden / heads; }
  at::Tensor get(const std::string& name) const { return p.at(name); }

  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    if (!llama) return at::layer_norm(x, {hidden}, get(name + ".weight"), get(name + ".bias"), 1e-5);
    return x * at::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * get(name + ".weight");
  }
  // The weight is [out ..., in ...].
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    const at::Tensor y = at::matmul(x, get(name + ".weight").reshape({-1, x.size(-1)}).t());
    return llama ? y : y + get(name + ".bias").flatten();
  }
  // Feature i turns with feature i + d / 2, by the angle position x 10000^(-2 i / d).
  at::Tensor rotated(const at::Tensor& x) const {  // b s heads d
    const std::int64_t half = head_dim() / 2;
    const at::Tensor exponent = at::arange(half, at::kDouble) / static_cast<double>(half);
    const at::Tensor angle = at::arange(x.size(1), at::kDouble).view({-1, 1, 1}) * at::pow(10000.0, -exponent);
    const at::Tensor a = x.narrow(-1, 0, half), b = x.narrow(-1, half, half);
    return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()}, -1);
  }
  at::Tensor attention(const at::Tensor& h, const std::string& name) const {
    const std::int64_t b = h.size(0), s = h.size(1);
    at::Tensor q = linear(h, name + ".q").view({b, s, heads, head_dim()});
    at::Tensor k = linear(h, name + ".k").view({b, s, kv_heads, head_dim()});
    at::Tensor v = linear(h, name + ".v").view({b, s, kv_heads, head_dim()});
    if (llama) q = rotated(q), k = rotated(k);
    k = k.repeat_interleave(heads / kv_heads, 2), v = v.repeat_interleave(heads / kv_heads, 2);
    at::Tensor scores = at::einsum("bshd,bthd->bhst", {q, k}) / std::sqrt(static_cast<double>(head_dim()));
    const at::Tensor future = at::ones({s, s}, at::kBool).triu(1);
    const at::Tensor weights = scores.masked_fill(future, -INFINITY).softmax(-1);
    return linear(at::einsum("bhst,bthd->bshd", {weights, v}).reshape({b, s, hidden}), name + ".out");
  }
  at::Tensor mlp(const at::Tensor& h, const std::string& name) const {
    if (llama) return linear(at::silu(linear(h, name + ".gate")) * linear(h, name + ".up"), name + ".down");
    return linear(at::gelu(linear(h, name + ".up"), "tanh"), name + ".down");
  }
  // The mean over the tokens that have a label.
  at::Tensor loss(const at::Tensor& ids, const at::Tensor& labels) const {
    const std::string head = "layers." + std::to_string(layers + 1);
    at::Tensor x = at::embedding(get(llama ? "layers.0.token.weight" : "embedding.weight"), ids);
    if (!llama) x = x + get("layers.0.position.weight");
    for (std::int64_t i = 1; i <= layers; ++i) {
      const std::string block = "layers." + std::to_string(i);
      x = x + attention(norm(x, block + ".ln_1"), block + ".attn");
      x = x + mlp(norm(x, block + ".ln_2"), block + ".mlp");
    }
    const at::Tensor table = get(llama ? head + ".lm_head.weight" : "embedding.weight").narrow(0, 0, vocab);
    const at::Tensor logits = at::matmul(norm(x, head + ".ln_f"), table.t()).view({-1, vocab});
    const at::Tensor picked = -at::log_softmax(logits, -1).gather(1, labels.clamp_min(0).view({-1, 1})).view({-1});
    const at::Tensor counts = labels.view({-1}).ge(0).to(at::kDouble);
    return (picked * counts).sum() / counts.sum();
  }
};

void compare(const std::string& yaml, PlainGpt plain) {
  Trained trained(yaml);
  compare_with_plain(trained, [&](const PlainInputs& in) {
    plain.p = in.p;
    return plain.loss(in.field("ids"), in.field("labels"));
  });
}

}  // namespace

TEST_CASE("one rank has the loss and the gradients of a plain GPT-2") { compare(kGpt2, {}); }

TEST_CASE("one rank has the loss and the gradients of a plain LLaMA with grouped queries") {
  compare(kLlama, {.llama = true, .kv_heads = 2});
}

}  // namespace trellis::test
