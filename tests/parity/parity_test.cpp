// Public models of every family and variant, imported, against what the public library computes of them: the loss, and
// each parameter's gradient by the name that it has in the files.
#include <ATen/ATen.h>  // before doctest, whose CHECK it would take
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "equivalence/equivalence.h"
#include "parity/golden.h"
#include "plan/weights/elements.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "support/scratch.h"
#include "trellis/run/comm.h"

namespace trellis::test {
namespace {

const std::vector<std::string> kGoldens = {
    "bert-masked-lm", "bert-untied", "bert-pretraining", "bert-classification", "vit",  "vit-no-bias",
    "vit-larger-images", "t5", "t5-untied-gated", "gpt2", "gpt2-dropout", "llama", "llama-dropout", "bert-dropout", "vit-dropout", "t5-dropout", "llama-tied-bias", "llama3", "mistral", "qwen2", "qwen2-windows"};

struct Found {
  double loss = 0;
  double worst = 0;   // max|a - b| / max(max|b|, floor x the largest gradient), of all tensors
  std::string where;
};

class Comparison {
 public:
  Comparison(const std::string& name, Dtype dtype)
      : golden(read_golden(name)), dtype_(dtype), folder_(golden_path(name)) {
    imported_ = import_model(folder_, plugins());
    Options options = imported_.options;
    for (const auto& [key, value] : golden.at("options").items()) options.set(key, value.dump());
    trained_ = std::make_unique<Trained>(options.to_yaml(), VerifyOptions{.dtype = dtype}, imported_.family);
    const auto family = plugins().family(imported_.family);
    weights_ = WeightReader::open(folder_, *family, options, trained_->model);
  }

  double loss() { return step().first; }
  Found run() {
    const auto [loss, gradients] = step();
    Found found{.loss = loss};
    compare(gradients, found);
    return found;
  }

  nlohmann::json golden;

 private:
  std::pair<double, std::map<std::string, at::Tensor>> step() {
    const CompiledPlan compiled = trained_->verifier.compiled(
        trained_->plan(1, "{}", 1, 1, static_cast<std::int64_t>(golden.at("fields").at("labels").size())));
    const auto world = single_rank();
    Executor executor(compiled, trained_->model, find_schedule(dimensions(), "1f1b"), trained_->kernels, trained_->ops,
                      *world, {.weights = weights_});
    executor.keep_gradients(true);
    const double loss = executor.train_step(GoldenSource(golden.at("fields")), 0, 0).loss;
    return {loss, executor.gradients()};
  }

  std::string word() const { return dtype_ == Dtype::f64 ? "f64" : "f32"; }

  // Trellis's gradients as the tensors that they would be in a folder.
  std::filesystem::path written(const std::map<std::string, at::Tensor>& gradients) {
    std::map<std::string, std::string> dtypes;
    for (const WeightPiece& piece : weights_->map().pieces()) dtypes[piece.tensor] = dtype_name(dtype_);
    WeightExport target(scratch_ / "gradients", weights_->map(), dtypes);
    for (const auto& [name, tensor] : gradients) {
      const at::Tensor whole = tensor.contiguous();
      target.write(name, {static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
    }
    target.commit();
    return scratch_ / "gradients" / "model.safetensors";
  }

  void compare(const std::map<std::string, at::Tensor>& gradients, Found& found) {
    const SafetensorsFile ours(written(gradients)), theirs(folder_ / ("gradients-" + word() + ".safetensors"));
    double largest = 0;
    for (const TensorView& view : theirs.tensors())
      largest = std::max(largest, tensor_of(view).abs().max().item<double>());
    std::set<std::string> left;
    for (const TensorView& view : ours.tensors()) left.insert(view.name);
    for (const TensorView& view : theirs.tensors()) {
      const TensorView* own = ours.find(view.name);
      REQUIRE_MESSAGE(own, view.name);
      left.erase(view.name);
      // What the library does not use is another name of something; resampled positions have gradients of their own.
      const auto& unused = golden.at("unused");
      if (std::find(unused.begin(), unused.end(), view.name) != unused.end() || own->shape != view.shape) continue;
      const at::Tensor b = tensor_of(view);
      // Gradients that are zero in exact arithmetic (the bias of k) are noise of rounding, on both sides: the gate times
      // this floor is about that of one number of the largest gradient's size.
      const double floor = (dtype_ == Dtype::f64 ? 1e-5 : 1e-2) * largest;
      const double error =
          (tensor_of(*own) - b).abs().max().item<double>() / std::max(b.abs().max().item<double>(), floor);
      if (error > found.worst) found.worst = error, found.where = view.name;
    }
    CHECK(left.empty());
  }

  Dtype dtype_;
  std::filesystem::path folder_;
  Scratch scratch_;
  ImportedModel imported_;
  std::unique_ptr<Trained> trained_;
  std::shared_ptr<const WeightReader> weights_;
};

void compare_all(Dtype dtype, const char* golden, double gate) {
  for (const std::string& name : kGoldens) {
    Comparison comparison(name, dtype);
    const Found found = comparison.run();
    const double loss = comparison.golden.at(golden), error = std::abs(found.loss / loss - 1);
    INFO(name, ": loss ", found.loss, " (", error, "), gradients ", found.worst, " ", found.where);
    MESSAGE(name, ": loss ", error, ", gradients ", found.worst, " in ", found.where);
    CHECK(error < gate);
    CHECK(found.worst < gate);
  }
}

}  // namespace

TEST_CASE("in float64 loss and gradients are those of the public library to 1e-10") { compare_all(Dtype::f64, "loss_f64", 1e-10); }

TEST_CASE("in float32 loss and gradients are those of the unmodified public library to 1e-5") {
  compare_all(Dtype::f32, "loss_f32", 1e-5);
}

TEST_CASE("in bf16 the loss is that of the public library in bf16 to 1e-2") {
  for (const std::string& name : kGoldens) {
    Comparison comparison(name, Dtype::bf16);
    const double found = comparison.loss(), loss = comparison.golden.at("loss_bf16"), error = std::abs(found / loss - 1);
    MESSAGE(name, ": loss ", found, ", the library's ", loss, " (", error, ")");
    CHECK(error < 1e-2);
  }
}

TEST_CASE("an imported folder is exported with every trained tensor byte for byte, and with its config.json") {
  for (const std::string& name : kGoldens) {
    INFO(name);
    const Scratch scratch;
    const ImportedModel imported = import_model(golden_path(name), plugins());
    export_folder(*imported.weights, public_weights(*plugins().family(imported.family), imported.family),
                  imported.options, scratch / "out", "", {});
    for (const char* file : {"config.json", "model.safetensors"})
      CHECK(read_file(scratch / "out" / file) == read_file(golden_path(name) / file));
  }
}

}  // namespace trellis::test
