// Family vit: against its plain formula, and each dimension alone, with a prime number of tokens.
#include <cmath>

#include "equivalence/plain_model.h"

namespace trellis::test {
namespace {

const std::string kVit =  // 17 tokens
    "image_size: 8\npatch_size: 2\nlayers: 2\nhidden: 16\nheads: 4\nffn: 32\nclasses: 10\nclass_multiple: 4\n";
const std::string kDropout = "dropout: 0.1\nattention_dropout: 0.1\n";

// As Dosovitskiy et al. 2021 have it: the class token stands before the patches.
at::Tensor plain(const PlainInputs& in) {
  const auto heads = [&](const at::Tensor& x) { return x.view({x.size(0), x.size(1), 4, -1}); };
  // Numbers made up by seed are at position 0, too; images have zeros there.
  const at::Tensor patches = at::matmul(in.field("patches"), in("layers.0.patch.weight").t());
  at::Tensor x = at::cat({patches.narrow(1, 0, 1) + in("layers.0.class_token"),
                          patches.narrow(1, 1, 16) + in("layers.0.patch.bias")}, 1);
  x = x + in("layers.0.position.weight");
  for (const std::string block : {"layers.1", "layers.2"}) {
    const at::Tensor h = in.layer_norm(x, block + ".ln_1", 1e-12);
    const at::Tensor a = plain_attention(heads(in.linear(h, block + ".attn.q")), heads(in.linear(h, block + ".attn.k")),
                                         heads(in.linear(h, block + ".attn.v")), 0.5, {});
    x = x + in.linear(a, block + ".attn.out");
    const at::Tensor up = in.linear(in.layer_norm(x, block + ".ln_2", 1e-12), block + ".mlp.up");
    x = x + in.linear(at::gelu(up, "none"), block + ".mlp.down");
  }
  const at::Tensor logits = in.linear(in.layer_norm(x, "layers.3.norm", 1e-12).select(1, 0), "layers.3.classifier");
  return plain_cross_entropy(logits.narrow(-1, 0, 10), in.field("labels"));
}

// Layers at the ends have less to cut than those between them.
void alone(const std::string& blocks, const std::string& embedding, const std::string& head, int devices, int stages = 1) {
  Trained trained(kVit + kDropout, {}, "vit");
  Plan plan = trained.plan(devices, "{}", stages, 3, 7);
  for (Strategy& layer : plan.layers) layer = strategy(blocks);
  plan.layers.front() = strategy(embedding), plan.layers.back() = strategy(head);
  trained.check(plan);
}

}  // namespace

TEST_CASE("vit on one rank has the loss and the gradients of the plain formula") {
  Trained trained(kVit, {}, "vit");
  compare_with_plain(trained, plain);
}

TEST_CASE("vit trains like one rank under each dimension alone, its 17 tokens padded") {
  alone("{}", "{}", "{}", 2);
  for (const std::string stage : {"1", "2", "3"}) {
    const std::string zero = "{zero: {stage: " + stage + "}}";
    alone(zero, zero, zero, 4);
  }
  alone("{tp: {degree: 2}}", "{}", "{tp: {degree: 2}}", 2);
  alone("{tp: {degree: 4}, megatron_sp: on}", "{ulysses: {degree: 4}}", "{tp: {degree: 4}, megatron_sp: on}", 4);
  for (const std::string degree : {"2", "4"}) {
    const std::string ulysses = "{ulysses: {degree: " + degree + "}}";
    alone(ulysses, ulysses, ulysses, 4);
  }
  alone("{ckpt: full}", "{ckpt: full}", "{ckpt: full}", 2);
  alone("{}", "{}", "{}", 4, 4);
}

TEST_CASE("a plan's padding of the sequence does not change vit's evaluation") {
  Trained trained(kVit, {}, "vit");
  for (const char* all : {"{ulysses: {degree: 2}}", "{ulysses: {degree: 4}}"})  // 18 and 20 positions
    trained.check(trained.plan(4, all));
}

}  // namespace trellis::test
