// Training from a folder of public weights: the loss is that of a plain computation on the tensors of its files, under
// every plan alike, and what training leaves is such a folder again.
#include <ATen/ATen.h>
#include <ATen/ops/equal.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "equivalence/equivalence.h"
#include "plan/weights/elements.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "run/comm/thread_ranks.h"
#include "run/verify/synthetic_source.h"
#include "support/plugins.h"
#include "support/public_folder.h"
#include "support/scratch.h"
#include "trellis/run/comm.h"

namespace trellis::test {
namespace {

// GPT-2 and LLaMA as the public library computes them, on the tensors as the files have them.
class PlainFolder {
 public:
  explicit PlainFolder(const std::filesystem::path& folder) : file_(folder / "model.safetensors") {}

  double loss(const at::Tensor& ids, const at::Tensor& labels) const {
    const bool llama = file_.find("model.norm.weight") != nullptr;
    const at::Tensor x = llama ? llama_hidden(ids) : gpt2_hidden(ids);
    const at::Tensor logits =
        at::matmul(x, get(llama ? "lm_head.weight" : "transformer.wte.weight").t()).view({-1, 37});
    const at::Tensor picked = -at::log_softmax(logits, -1).gather(1, labels.clamp_min(0).view({-1, 1})).view({-1});
    const at::Tensor counts = labels.view({-1}).ge(0).to(at::kDouble);
    return ((picked * counts).sum() / counts.sum()).item<double>();
  }

 private:
  at::Tensor get(const std::string& name) const {
    const TensorView* view = file_.find(name);
    REQUIRE_MESSAGE(view, name);
    at::Tensor tensor = at::empty(view->shape, at::kFloat);
    std::memcpy(tensor.data_ptr(), view->bytes.data(), view->bytes.size());
    return tensor.to(at::kDouble);
  }
  static at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {  // b s heads d
    const std::int64_t s = q.size(1);
    const at::Tensor scores = at::einsum("bshd,bthd->bhst", {q, k}) / std::sqrt(static_cast<double>(q.size(3)));
    const at::Tensor future = at::ones({s, s}, at::kBool).triu(1);
    return at::einsum("bhst,bthd->bshd", {scores.masked_fill(future, -INFINITY).softmax(-1), v}).flatten(2);
  }
  at::Tensor gpt2_hidden(const at::Tensor& ids) const {
    const auto norm = [&](const at::Tensor& x, const std::string& name) {
      return at::layer_norm(x, {16}, get(name + ".weight"), get(name + ".bias"), 1e-5);
    };
    const auto conv1d = [&](const at::Tensor& x, const std::string& name) {
      return at::matmul(x, get(name + ".weight")) + get(name + ".bias");
    };
    at::Tensor x = at::embedding(get("transformer.wte.weight"), ids) + get("transformer.wpe.weight");
    for (int i = 0; i < 2; ++i) {
      const std::string h = "transformer.h." + std::to_string(i) + ".";
      const auto qkv = conv1d(norm(x, h + "ln_1"), h + "attn.c_attn").split(16, -1);
      const auto heads = [&](const at::Tensor& t) { return t.reshape({t.size(0), t.size(1), 4, 4}); };
      x = x + conv1d(attention(heads(qkv[0]), heads(qkv[1]), heads(qkv[2])), h + "attn.c_proj");
      x = x + conv1d(at::gelu(conv1d(norm(x, h + "ln_2"), h + "mlp.c_fc"), "tanh"), h + "mlp.c_proj");
    }
    return norm(x, "transformer.ln_f");
  }
  static at::Tensor rotated(const at::Tensor& x) {  // the public library's rotate_half
    const at::Tensor frequency = at::pow(10000.0, -at::arange(0, 4, 2, at::kDouble) / 4);
    const at::Tensor half = at::arange(x.size(1), at::kDouble).view({-1, 1}) * frequency;
    const at::Tensor angle = at::cat({half, half}, -1).unsqueeze(1);
    const auto parts = x.split(2, -1);
    return x * angle.cos() + at::cat({-parts[1], parts[0]}, -1) * angle.sin();
  }
  at::Tensor llama_hidden(const at::Tensor& ids) const {
    const auto norm = [&](const at::Tensor& x, const std::string& name) {
      return get(name) * (x * at::rsqrt(x.pow(2).mean(-1, true) + 1e-6));
    };
    const auto linear = [&](const at::Tensor& x, const std::string& name) {
      const at::Tensor y = at::matmul(x, get(name + ".weight").t());
      return file_.find(name + ".bias") ? y + get(name + ".bias") : y;
    };
    at::Tensor x = at::embedding(get("model.embed_tokens.weight"), ids);
    for (int i = 0; i < 2; ++i) {
      const std::string p = "model.layers." + std::to_string(i) + ".";
      const at::Tensor h = norm(x, p + "input_layernorm.weight");
      const auto heads = [&](const char* name, std::int64_t n) {
        return linear(h, p + "self_attn." + name).view({h.size(0), h.size(1), n, 4});
      };
      const at::Tensor k = rotated(heads("k_proj", 2)).repeat_interleave(2, 2),
                       v = heads("v_proj", 2).repeat_interleave(2, 2);
      x = x + linear(attention(rotated(heads("q_proj", 4)), k, v), p + "self_attn.o_proj");
      const at::Tensor m = norm(x, p + "post_attention_layernorm.weight");
      x = x + linear(at::silu(linear(m, p + "mlp.gate_proj")) * linear(m, p + "mlp.up_proj"), p + "mlp.down_proj");
    }
    return norm(x, "model.norm.weight");
  }

  SafetensorsFile file_;
};

// Six samples of twelve tokens; every label counts.
class CountingSource final : public DataSource {
 public:
  std::int64_t batch() const override { return 6; }
  at::Tensor field(const FieldRequest& r) const override {
    const at::Tensor position = at::arange(r.position_begin, r.position_end, at::kLong);
    if (r.name == "positions") return position.expand({r.row_end - r.row_begin, -1}).contiguous();
    const at::Tensor at = at::arange(r.row_begin, r.row_end, at::kLong).view({-1, 1}) * 12 + position;
    return r.name == "ids" ? at.mul(7).remainder(37) : at.mul(5).add(3).remainder(37);
  }
  std::int64_t counted_items(std::int64_t, std::string_view) const override { return 72; }
};

struct Folder {
  explicit Folder(const std::string& type, Dtype dtype = Dtype::f64)
      : imported(write(type)), trained(imported.options.to_yaml(), {.dtype = dtype}) {}
  ImportedModel write(const std::string& type) const {
    if (type == "gpt2") write_folder(scratch / "in", kGpt2Config, gpt2_tensors());
    else write_folder(scratch / "in", llama_config(type), llama_tensors(type == "qwen2"));
    return import_model(scratch / "in", plugins());
  }
  // Trains for two steps, one that does not move and one that does: their losses, and the parameters before them.
  std::pair<std::vector<double>, std::map<std::string, at::Tensor>> train(const Plan& plan) {
    const CompiledPlan compiled = trained.verifier.compiled(plan);
    std::pair<std::vector<double>, std::map<std::string, at::Tensor>> result;
    ThreadRanks(plan.devices, true).run([&](CommWorld& world) {
      Executor executor(compiled, trained.model, find_schedule(dimensions(), "1f1b"), trained.kernels, trained.ops,
                        world, {.seed = 3, .weights = imported.weights});
      auto parameters = executor.parameters();
      const SyntheticSource data(6, fields_of(trained.model, trained.ops), 9);
      std::vector<double> losses;
      for (const int step : {0, 1, 2}) losses.push_back(executor.train_step(data, step, step == 0 ? 0 : 1e-3).loss);
      if (world.rank() == 0) result = {losses, std::move(parameters)};
    });
    return result;
  }

  Scratch scratch;
  ImportedModel imported;
  Trained trained;
};

}  // namespace

TEST_CASE("the first loss from a public folder is that of a plain computation on its files") {
  for (const char* type : {"gpt2", "llama", "qwen2", "mistral"}) {
    Folder folder(type);
    const SyntheticSource data(6, fields_of(folder.trained.model, folder.trained.ops), 9);
    const FieldRequest ids{.name = "ids", .step = 0, .row_end = 6, .position_end = 12};
    FieldRequest labels = ids;
    labels.name = "labels";
    const double expected = PlainFolder(folder.scratch / "in").loss(data.field(ids), data.field(labels));
    const double found = folder.train(folder.trained.plan(1, "{}")).first.front();
    INFO(type, ": ", found, ", expected ", expected);
    CHECK(std::abs(found / expected - 1) < 1e-12);
  }
}

// Loss and norm of the whole gradient by transformers 5.2 on torch 2.11, in float64 (but for its casts to float32 in
// RMSNorm), from these folders, which it loads with no missing, unexpected or mismatched key.
TEST_CASE("loss and gradients from a public folder are those of the public library") {
  struct Golden {
    const char* type;
    double loss, gradient_norm, gate;
  };
  for (const Golden& golden : {Golden{"gpt2", 3.7785216879641075, 1.2137563857506322, 1e-12},
                               Golden{"llama", 3.873066134596504, 1.6246146926809784, 1e-6},
                               Golden{"mistral", 3.873066134596504, 1.6246146926809784, 1e-6},
                               Golden{"qwen2", 3.8369007409071463, 2.0930907901095246, 1e-6}}) {
    Folder folder(golden.type);
    const CompiledPlan compiled = folder.trained.verifier.compiled(folder.trained.plan(1, "{}", 1, 1));
    const auto world = single_rank();
    Executor executor(compiled, folder.trained.model, find_schedule(dimensions(), "1f1b"), folder.trained.kernels,
                      folder.trained.ops, *world, {.weights = folder.imported.weights});
    const StepResult found = executor.train_step(CountingSource(), 0, 0);
    INFO(golden.type, ": ", found.loss, " ", found.gradient_norm);
    CHECK(std::abs(found.loss / golden.loss - 1) < golden.gate);
    CHECK(std::abs(found.gradient_norm / golden.gradient_norm - 1) < golden.gate);
  }
}

TEST_CASE("training from a public folder is the same under every plan") {
  struct Case {
    int devices, stages;
    const char* all;
  };
  for (const char* type : {"gpt2", "llama"}) {
    Folder folder(type);
    const auto [losses, parameters] = folder.train(folder.trained.plan(1, "{}"));
    for (const Case& c : std::initializer_list<Case>{{2, 1, "{tp: {degree: 2}}"},
                                                     {4, 1, "{tp: {degree: 4}, megatron_sp: on}"},
                                                     {2, 1, "{zero: {stage: 1}}"},
                                                     {2, 1, "{zero: {stage: 3}}"},
                                                     {4, 1, "{tp: {degree: 2}, zero: {stage: 3}}"},
                                                     {2, 2, "{}"},
                                                     {4, 2, "{ulysses: {degree: 2}, zero: {stage: 3}, ckpt: full}"}}) {
      INFO(type, ": ", c.devices, " ranks, ", c.stages, " stages, ", c.all);
      const auto [there, held] = folder.train(folder.trained.plan(c.devices, c.all, c.stages));
      for (std::size_t step = 0; step < losses.size(); ++step) CHECK(std::abs(there[step] / losses[step] - 1) < 1e-9);
      REQUIRE(held.size() == parameters.size());
      for (const auto& [name, tensor] : parameters) CHECK_MESSAGE(at::equal(held.at(name), tensor), name);
    }
  }
}

TEST_CASE("a run in bf16 starts from the nearest numbers, with the exact ones in its optimizer") {
  Folder folder("llama", Dtype::bf16), exact("llama");
  const double expected = exact.train(exact.trained.plan(1, "{}")).first.front();
  for (const char* all : {"{}", "{zero: {stage: 2}}", "{zero: {stage: 3}}"}) {
    const auto [losses, parameters] = folder.train(folder.trained.plan(2, all));
    CHECK(std::abs(losses.front() / expected - 1) < 2e-2);
    const TensorView& view = *folder.imported.weights->folder().at("model.norm.weight").view;
    for (std::int64_t i = 0; i < 16; ++i) {
      const auto nearest = element::to_bf16(element::load<float>(view.bytes.data() + 4 * i));
      CHECK(parameters.at("layers.3.ln_f.weight").view(at::kShort)[i].item<std::int16_t>() ==
            static_cast<std::int16_t>(nearest));
    }
  }
}

TEST_CASE("what a run was given and did not change it exports byte for byte") {
  for (const char* type : {"gpt2", "llama"}) {
    Folder folder(type, Dtype::f32);
    int number = 0;
    for (const auto& [all, stages] : {std::pair("{}", 1), std::pair("{tp: {degree: 2}}", 1),
                                      std::pair("{zero: {stage: 3}}", 1), std::pair("{}", 2)}) {
      const Plan plan = folder.trained.plan(2, all, stages);
      const CompiledPlan compiled = folder.trained.verifier.compiled(plan);
      RunFile run;
      run.model = {"gpt", folder.imported.options};
      run.weights = folder.scratch / "in";
      run.export_folder = folder.scratch / std::to_string(++number);
      ThreadRanks(2, true).run([&](CommWorld& world) {
        Executor executor(compiled, folder.trained.model, find_schedule(dimensions(), "1f1b"), folder.trained.kernels,
                          folder.trained.ops, world, {.seed = 3, .weights = folder.imported.weights});
        std::unique_ptr<WeightExport> target;
        if (world.rank() == 0)
          target = begin_export(run, folder.trained.model, plugins(), folder.imported.weights.get(), Dtype::f32);
        executor.visit_parameters([&](const std::string& name, const at::Tensor& whole) {
          if (target) target->write(name, {static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
        });
        if (target) target->commit();
      });
      INFO(type, " ", all, " ", stages);
      for (const char* name : {"model.safetensors", "config.json"})
        CHECK(read_file(run.export_folder / name) == read_file(folder.scratch / "in" / name));
    }
  }
}

}  // namespace trellis::test
