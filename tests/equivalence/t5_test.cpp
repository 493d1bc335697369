// Family t5: against its plain formula, each dimension alone, and pipelines that cut it anywhere.
#include <cmath>

#include "equivalence/plain_model.h"

namespace trellis::test {
namespace {

// Heads times their size are not hidden; distances reach all buckets.
const std::string kT5 =
    "layers: 2\nhidden: 16\nheads: 4\nhead_dim: 6\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 12\ntarget: 9\n"
    "buckets: 8\nmax_distance: 10\nloss_chunk: 10\ninit_factor: 0.5\n";
const std::string kDropout = "dropout: 0.1\n";

// Raffel et al. 2020, as their code has it. Distance: key minus query.
at::Tensor bias(const at::Tensor& table, std::int64_t length, bool causal) {
  at::Tensor distance = at::arange(length, at::kLong).unsqueeze(0) - at::arange(length, at::kLong).unsqueeze(1);
  std::int64_t rows = table.size(0);
  at::Tensor first = at::zeros_like(distance);
  if (!causal) rows /= 2, first = distance.gt(0).to(at::kLong) * rows, distance = distance.abs();
  else distance = -distance.clamp_max(0);
  const double exact = static_cast<double>(rows / 2);
  const at::Tensor far = ((distance.to(at::kFloat) / exact).log() / std::log(10 / exact) * (static_cast<double>(rows) - exact)).to(at::kLong) + rows / 2;
  const at::Tensor bucket = first + at::where(distance.lt(rows / 2), distance, far.clamp_max(rows - 1));
  const at::Tensor added = at::index_select(table.flatten(1), 0, bucket.flatten()).view({length, length, -1}).permute({2, 0, 1});
  return causal ? added.masked_fill(at::ones({length, length}, at::kBool).triu(1), -INFINITY) : added;
}

struct PlainT5 {
  const PlainInputs& in;
  bool gated, tied, scaled;

  at::Tensor attention(const std::string& name, const at::Tensor& x, const at::Tensor& memory, const at::Tensor& added) const {
    const auto heads = [&](const at::Tensor& t) { return t.view({t.size(0), t.size(1), 4, 6}); };
    const at::Tensor h = in.rms_norm(x, name + ".norm", 1e-6), from = memory.defined() ? memory : h;
    const at::Tensor a = plain_attention(heads(in.linear(h, name + ".q")), heads(in.linear(from, name + ".k")),
                                         heads(in.linear(from, name + ".v")), 1, added);
    return x + in.linear(a, name + ".out");
  }
  at::Tensor mlp(const std::string& layer, const at::Tensor& x) const {
    const at::Tensor h = in.rms_norm(x, layer + ".mlp.norm", 1e-6);
    at::Tensor y = in.linear(h, layer + ".mlp.up");
    y = gated ? at::gelu(in.linear(h, layer + ".mlp.gate"), "tanh") * y : at::relu(y);
    return x + in.linear(y, layer + ".mlp.down");
  }
  at::Tensor loss() const {
    const at::Tensor hidden = hidden_keys(in.field("mask"));
    const at::Tensor table = in("embedding.weight");
    at::Tensor x = at::embedding(table, in.field("ids"));
    for (const std::string layer : {"layers.1", "layers.2"})
      x = mlp(layer, attention(layer + ".attn", x, {}, bias(in("encoder.distance.weight"), 12, false) + hidden));
    const at::Tensor memory = in.rms_norm(x, "layers.3.norm", 1e-6);
    x = at::embedding(table, in.field("decoder_ids"));
    for (const std::string layer : {"layers.4", "layers.5"}) {
      x = attention(layer + ".attn", x, {}, bias(in("decoder.distance.weight"), 9, true));
      x = mlp(layer, attention(layer + ".cross", x, memory, hidden));
    }
    x = in.rms_norm(x, "layers.6.norm", 1e-6);
    if (scaled) x = x / 4.0;
    const at::Tensor head = tied ? table : in("layers.6.lm_head.weight");
    return plain_cross_entropy(at::matmul(x, head.t()).narrow(-1, 0, 37), in.field("labels"));
  }
};

void alone(const std::string& two, const std::string& four) {
  Trained trained(kT5 + kDropout, {}, "t5");
  trained.check(trained.plan(2, two, 1, 3, 5));
  trained.check(trained.plan(4, four, 1, 3, 5));
}

}  // namespace

TEST_CASE("t5 on one rank has the loss and the gradients of the plain formula, gated or not, tied or not, scaled or not") {
  struct Case {
    bool gated, tied, scaled;
    std::string options;
  };
  for (const Case& c : {Case{false, true, true, ""}, Case{false, false, false, "tied: off\n"},
                        Case{true, true, true, "activation: gated_gelu\n"},
                        Case{true, false, false, "activation: gated_gelu\ntied: off\n"},
                        Case{false, true, false, "scaled: off\n"}, Case{false, false, true, "tied: off\nscaled: on\n"}}) {
    INFO(c.options);
    Trained trained(kT5 + c.options, {}, "t5");
    compare_with_plain(trained, [&](const PlainInputs& in) { return PlainT5{in, c.gated, c.tied, c.scaled}.loss(); });
  }
}

TEST_CASE("t5 trains like one rank under each dimension alone") {
  alone("{}", "{}");
  for (const std::string stage : {"1", "2", "3"}) alone("{zero: {stage: " + stage + "}}", "{zero: {stage: " + stage + "}}");
  alone("{tp: {degree: 2}}", "{tp: {degree: 4}}");
  alone("{tp: {degree: 2}, megatron_sp: on}", "{tp: {degree: 4}, megatron_sp: on}");
  alone("{ulysses: {degree: 2}}", "{ulysses: {degree: 4}}");
  alone("{ckpt: full}", "{ckpt: full}");
}

TEST_CASE("a pipeline cuts t5 anywhere: in the encoder, at its memory, in the decoder") {
  Trained trained(kT5 + kDropout, {}, "t5");
  for (int cut = 1; cut < trained.layers(); ++cut)
    for (const char* schedule : {"gpipe", "1f1b"}) {
      Plan plan = trained.plan(2, "{}", 2, 3, 5);
      plan.stages = {{0, cut - 1}, {cut, trained.layers() - 1}};
      plan.schedule = schedule;
      trained.check(plan);
    }
  Plan every = trained.plan(7, "{}", 7, 4, 5);
  trained.check(every);
}

TEST_CASE("the encoder's memory may lie differently in every layer of the decoder") {
  Trained trained(kT5 + kDropout + "decoder_layers: 3\n", {}, "t5");
  Plan plan = trained.plan(4, "{}", 1, 2, 6);
  plan.layers = {strategy("{tp: {degree: 2}}"), strategy("{ulysses: {degree: 4}}"), strategy("{}"),
                 strategy("{tp: {degree: 4}, megatron_sp: on}"), strategy("{tp: {degree: 2}, zero: {stage: 3}}"),
                 strategy("{ulysses: {degree: 2}, ckpt: full}"), strategy("{tp: {degree: 4}, megatron_sp: on, zero: {stage: 1}}"),
                 strategy("{zero: {stage: 2}}")};
  trained.check(plan);
}

}  // namespace trellis::test
