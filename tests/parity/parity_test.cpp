// Public models of every family and variant, imported, against what the public library computes of them: the loss, the
// logits of every head, and each parameter's gradient by the name that it has in the files.
#include <ATen/ATen.h>  // before doctest, whose CHECK it would take
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "equivalence/equivalence.h"
#include "parity/golden.h"
#include "parity/heads.h"
#include "plan/weights/elements.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "support/scratch.h"
#include "trellis/run/comm.h"

namespace trellis::test {
namespace {

const std::vector<std::string> kGoldens = {
    "bert-masked-lm", "bert-untied", "bert-pretraining", "bert-classification", "bert-dropout", "vit", "vit-no-bias",
    "vit-larger-images", "vit-dropout", "t5", "t5-untied-gated", "t5-tied-unscaled", "t5-untied-scaled", "t5-dropout", "gpt2",
    "gpt2-dropout", "llama", "llama-dropout", "llama-tied-bias", "llama3", "mistral", "qwen2", "qwen2-windows"};

// What Trellis computes of a folder in a step on one rank.
struct Computed {
  double loss = 0;
  Logits outputs;
  std::map<std::string, at::Tensor> gradients;
};

struct Found {
  double worst = 0;
  std::string where;

  void add(const std::string& name, double error) {
    if (error > worst || std::isnan(error)) worst = error, where = name;
  }
};

double largest_of(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

class Comparison {
 public:
  Comparison(const std::string& name, Dtype dtype)
      : golden(read_golden(name)), dtype_(dtype), folder_(golden_path(name)) {
    imported_ = import_model(folder_, plugins());
    Options options = imported_.options;
    for (const auto& [key, value] : golden.at("options").items()) options.set(key, value.dump());
    trained_ = std::make_unique<Trained>(options.to_yaml(), VerifyOptions{.dtype = dtype}, imported_.family);
    trained_->kernels.replace("cross_entropy", std::make_shared<HeadWithLogits>(logits_));
    const auto family = plugins().family(imported_.family);
    weights_ = WeightReader::open(folder_, *family, options, trained_->model);
  }

  Computed computed() {
    const CompiledPlan compiled = trained_->verifier.compiled(
        trained_->plan(1, "{}", 1, 1, static_cast<std::int64_t>(golden.at("fields").at("labels").size())));
    const auto world = single_rank();
    Executor executor(compiled, trained_->model, find_schedule(dimensions(), "1f1b"), trained_->kernels, trained_->ops,
                      *world, {.weights = weights_});
    executor.keep_gradients(true);
    const double loss = executor.train_step(GoldenSource(golden.at("fields")), 0, 0).loss;
    return {loss, *logits_, executor.gradients()};
  }

  double loss_error(double loss) const {
    return std::abs(loss / golden.at("loss_" + word()).get<double>() - 1);
  }

  // Of every head at every position, also those of padding and those without a label, as max|a - b| / max|b|.
  Found compare_outputs(const Logits& outputs) const {
    const SafetensorsFile file(folder_ / "outputs.safetensors");
    Found found;
    std::size_t heads = 0;
    for (const TensorView& view : file.tensors()) {
      if (!view.name.starts_with(word() + ".")) continue;
      const std::string labels = view.name.substr(word().size() + 1);
      REQUIRE_MESSAGE(outputs.contains(labels), labels);
      const at::Tensor b = tensor_of(view), a = outputs.at(labels).to(at::kDouble);
      REQUIRE(a.numel() == b.numel());
      found.add(labels, largest_of(a.view(b.sizes()) - b) / largest_of(b));
      ++heads;
    }
    CHECK(heads == outputs.size());
    return found;
  }

  Found compare_gradients(const std::map<std::string, at::Tensor>& gradients) {
    const SafetensorsFile ours(written(gradients)), theirs(folder_ / ("gradients-" + word() + ".safetensors"));
    double largest = 0;
    for (const TensorView& view : theirs.tensors()) largest = std::max(largest, largest_of(tensor_of(view)));
    std::set<std::string> left;
    for (const TensorView& view : ours.tensors()) left.insert(view.name);
    Found found;
    for (const TensorView& view : theirs.tensors()) {
      const TensorView* own = ours.find(view.name);
      REQUIRE_MESSAGE(own, view.name);
      left.erase(view.name);
      // What the library does not use is another name of something; resampled positions have gradients of their own.
      const auto& unused = golden.at("unused");
      if (std::find(unused.begin(), unused.end(), view.name) != unused.end() || own->shape != view.shape) continue;
      found.add(view.name, gradient_error(view.name, tensor_of(*own), tensor_of(view), largest));
    }
    CHECK(left.empty());
    return found;
  }

  nlohmann::json golden;

 private:
  std::string word() const { return dtype_ == Dtype::f64 ? "f64" : dtype_ == Dtype::f32 ? "f32" : "bf16"; }

  // max|a - b| / max(max|b|, floor x the largest gradient of the model).
  double gradient_error(const std::string& name, const at::Tensor& a, const at::Tensor& b, double largest) const {
    const double floor = (dtype_ == Dtype::f64 ? 1e-6 : 1e-3) * largest;
    if (is_zero(name)) return largest_of(a) / (10 * floor);
    return largest_of(a - b) / std::max(largest_of(b), floor);
  }

  // The softmax does not see the bias of keys that are not rotated, so in exact arithmetic its gradient is zero, and what is
  // computed is noise of rounding: in these folders up to 1.4e-16 of the largest gradient in the library's float64 and
  // 7.3e-8 in its float32, 1.4e-10 and 7.3e-5 of the floor, more than the gates. So Trellis's is compared with zero, under a
  // floor ten times as large: of the largest gradient it may be 1e-15 and 1e-7, a few roundings of a number of that size.
  static bool is_zero(const std::string& name) { return name.ends_with(".key.bias"); }

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

  Dtype dtype_;
  std::filesystem::path folder_;
  Scratch scratch_;
  ImportedModel imported_;
  std::shared_ptr<Logits> logits_ = std::make_shared<Logits>();
  std::unique_ptr<Trained> trained_;
  std::shared_ptr<const WeightReader> weights_;
};

void compare_all(Dtype dtype, double gate) {
  for (const std::string& name : kGoldens) {
    Comparison comparison(name, dtype);
    const Computed computed = comparison.computed();
    const double loss = comparison.loss_error(computed.loss);
    const Found outputs = comparison.compare_outputs(computed.outputs);
    const Found gradients = comparison.compare_gradients(computed.gradients);
    INFO(name);
    MESSAGE(name, ": loss ", loss, ", outputs ", outputs.worst, ", gradients ", gradients.worst, " in ", gradients.where);
    CHECK(loss < gate);
    CHECK(outputs.worst < gate);
    CHECK(gradients.worst < gate);
  }
}

}  // namespace

TEST_CASE("in float64 loss, outputs and gradients are those of the public library to 1e-10") {
  compare_all(Dtype::f64, 1e-10);
}

TEST_CASE("in float32 loss, outputs and gradients are those of the unmodified public library to 1e-5") {
  compare_all(Dtype::f32, 1e-5);
}

TEST_CASE("in bf16 loss and outputs are those of the public library in bf16 to 1e-2 and to 3e-2") {
  for (const std::string& name : kGoldens) {
    Comparison comparison(name, Dtype::bf16);
    const Computed computed = comparison.computed();
    const double loss = comparison.loss_error(computed.loss);
    const Found outputs = comparison.compare_outputs(computed.outputs);
    INFO(name);
    MESSAGE(name, ": loss ", loss, ", outputs ", outputs.worst, " of ", outputs.where);
    CHECK(loss < 1e-2);
    CHECK(outputs.worst < 3e-2);
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
