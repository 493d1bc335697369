// Family bert: against its plain formula, and each dimension alone.
#include <cmath>

#include "equivalence/plain_model.h"

namespace trellis::test {
namespace {

const std::string kBert =
    "layers: 2\nhidden: 16\nheads: 4\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 12\nloss_chunk: 10\n";
const std::string kDropout = "dropout: 0.1\nattention_dropout: 0.1\n";

// As Devlin et al. 2019 and their code have it.
at::Tensor encoder(const PlainInputs& in, int layers) {
  const auto heads = [&](const at::Tensor& x) { return x.view({x.size(0), x.size(1), 4, -1}); };
  at::Tensor x = at::embedding(in(in.p.contains("embedding.weight") ? "embedding.weight" : "layers.0.token.weight"), in.field("ids"),
                               /*padding_idx=*/0);
  x = x + at::embedding(in("layers.0.position.weight"), in.field("positions")) +
      at::embedding(in("layers.0.segment.weight"), in.field("segments"));
  x = in.layer_norm(x, "layers.0.norm", 1e-12);
  for (int i = 1; i <= layers; ++i) {
    const std::string block = "layers." + std::to_string(i);
    const at::Tensor a = plain_attention(heads(in.linear(x, block + ".attn.q")), heads(in.linear(x, block + ".attn.k")),
                                         heads(in.linear(x, block + ".attn.v")), 0.5, hidden_keys(in.field("mask")));
    x = in.layer_norm(x + in.linear(a, block + ".attn.out"), block + ".attn.norm", 1e-12);
    const at::Tensor h = at::gelu(in.linear(x, block + ".mlp.up"), "none");
    x = in.layer_norm(x + in.linear(h, block + ".mlp.down"), block + ".mlp.norm", 1e-12);
  }
  return x;
}

at::Tensor masked_lm(const PlainInputs& in, const at::Tensor& x) {
  const at::Tensor h = in.layer_norm(at::gelu(in.linear(x, "layers.3.transform"), "none"), "layers.3.transform.norm", 1e-12);
  const at::Tensor logits = at::matmul(h, in("embedding.weight").t()) + in("layers.3.decoder.bias");
  return plain_cross_entropy(logits.narrow(-1, 0, 37), in.field("labels"));
}

void alone(const std::string& two, const std::string& four, int stages = 1, int micro_batches = 3) {
  Trained trained(kBert + kDropout, {}, "bert");
  trained.check(trained.plan(2 * stages, two, stages, micro_batches, 5));
  trained.check(trained.plan(4 * stages, four, stages, micro_batches, 5));
}

}  // namespace

TEST_CASE("bert on one rank has the loss and the gradients of the plain formula, padding masked") {
  Trained trained(kBert, {}, "bert");
  compare_with_plain(trained, [](const PlainInputs& in) { return masked_lm(in, encoder(in, 2)); });
}

TEST_CASE("bert's second term, whether a sentence follows, has a count of its own") {
  Trained trained(kBert + "task: pretraining\n", {}, "bert");
  compare_with_plain(trained, [](const PlainInputs& in) {
    const at::Tensor x = encoder(in, 2), pooled = at::tanh(in.linear(x.select(1, 0), "layers.3.pooler"));
    return masked_lm(in, x) + plain_cross_entropy(in.linear(pooled, "layers.3.next_sentence"), in.field("next_sentence_labels"));
  });
}

TEST_CASE("bert classifies samples by their first token") {
  Trained trained(kBert + "task: classification\nclasses: 3\n", {}, "bert");
  compare_with_plain(trained, [](const PlainInputs& in) {
    const at::Tensor pooled = at::tanh(in.linear(encoder(in, 2).select(1, 0), "layers.3.pooler"));
    return plain_cross_entropy(in.linear(pooled, "layers.3.classifier"), in.field("labels"));
  });
}

TEST_CASE("heads of samples train like one rank, also where the sequence is split and the first token is elsewhere") {
  for (const std::string task : {"task: pretraining\n", "task: classification\n"}) {
    Trained trained(kBert + kDropout + task, {}, "bert");
    for (const char* all : {"{}", "{tp: {degree: 2}, megatron_sp: on}", "{ulysses: {degree: 4}}", "{zero: {stage: 3}, ckpt: full}"}) {
      Plan plan = trained.plan(4, "{}", 1, 3, 5);
      for (std::size_t i = 0; i + 1 < plan.layers.size(); ++i) plan.layers[i] = strategy(all);
      // A head for classes has nothing that tp cuts.
      plan.layers.back() = strategy(task == "task: classification\n" && std::string(all).find("tp") != std::string::npos ? "{}" : all);
      trained.check(plan);
    }
  }
}

TEST_CASE("bert trains like one rank under each dimension alone") {
  alone("{}", "{}");
  for (const std::string stage : {"1", "2", "3"}) alone("{zero: {stage: " + stage + "}}", "{zero: {stage: " + stage + "}}");
  alone("{tp: {degree: 2}}", "{tp: {degree: 4}}");
  alone("{tp: {degree: 2}, megatron_sp: on}", "{tp: {degree: 4}, megatron_sp: on}");
  alone("{ulysses: {degree: 2}}", "{ulysses: {degree: 4}}");
  alone("{ckpt: full}", "{ckpt: full}");
  alone("{}", "{tp: {degree: 2}}", 2);
}

}  // namespace trellis::test
