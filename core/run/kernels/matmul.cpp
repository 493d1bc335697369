#include "run/kernels/matmul.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <sstream>

#include "run/kernels/support.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

constexpr std::array<std::string_view, 3> kKinds = {"forward", "input_gradient", "weight_gradient"};
constexpr std::array<std::string_view, 3> kChoices = {"aten", "onednn", "mkl_accumulate"};
constexpr std::array<std::pair<std::string_view, at::ScalarType>, 3> kTypes = {
    {{"f32", at::kFloat}, {"f64", at::kDouble}, {"bf16", at::kBFloat16}}};

// x w^T + bias on oneDNN; strided arguments are allowed.
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                   c10::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<c10::string_view>);

const std::optional<c10::TypedOperatorHandle<LinearPointwise>>& linear_pointwise() {
  static const auto handle = []() -> std::optional<c10::TypedOperatorHandle<LinearPointwise>> {
    const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!found) return std::nullopt;
    return found->typed<LinearPointwise>();
  }();
  return handle;
}

at::Tensor onednn_product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  return linear_pointwise()->call(x, w, bias.defined() ? std::optional(bias) : std::nullopt, "none",
                                  c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

// MKL's product of bf16 matrices that accumulates in fp32. LibTorch exports it where it is built with MKL.
using GemmBf16 = void (*)(int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const void* a,
                          int lda, const void* b, int ldb, float beta, float* c, int ldc);

GemmBf16 gemm_bf16() {
  static const auto function = reinterpret_cast<GemmBf16>(::dlsym(RTLD_DEFAULT, "cblas_gemm_bf16bf16f32"));
  return function;
}

void mkl_accumulate(const at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x) {
  constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;
  const int m = static_cast<int>(dy.size(1)), n = static_cast<int>(x.size(1)), k = static_cast<int>(x.size(0));
  gemm_bf16()(kRowMajor, kTranspose, kNoTranspose, m, n, k, 1.0f, dy.const_data_ptr(), m, x.const_data_ptr(), n, 1.0f,
              mutable_data<float>(dw), n);
}

bool fits_int(const at::Tensor& t) {
  return std::all_of(t.sizes().begin(), t.sizes().end(),
                     [](std::int64_t n) { return n <= std::numeric_limits<int>::max(); });
}

at::Tensor placed(at::Tensor result, const at::Tensor& out) { return out.defined() ? out.copy_(result) : result; }

at::Tensor run_forward(ProductChoice choice, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                       at::Tensor out) {
  if (choice == ProductChoice::onednn) return placed(onednn_product(x, w, bias), out);
  if (!out.defined()) out = at::empty({x.size(0), w.size(0)}, x.options());
  if (bias.defined()) return at::addmm_out(out, bias, x, w.t());
  return at::mm_out(out, x, w.t());
}

at::Tensor run_input_gradient(ProductChoice choice, const at::Tensor& dy, const at::Tensor& w, at::Tensor out) {
  if (choice == ProductChoice::onednn) return placed(onednn_product(dy, w.t(), {}), out);
  if (!out.defined()) out = at::empty({dy.size(0), w.size(1)}, dy.options());
  return at::mm_out(out, dy, w);
}

void add_or_copy(const at::Tensor& dw, const at::Tensor& product, bool fresh) {
  if (fresh) dw.copy_(product);
  else accumulate(dw, product);
}

void run_weight_gradient(ProductChoice choice, at::Tensor dw, const at::Tensor& dy, const at::Tensor& x, bool fresh) {
  if (choice == ProductChoice::mkl_accumulate) {
    if (fresh) dw.zero_();
    return mkl_accumulate(dw, dy, x);
  }
  if (choice == ProductChoice::onednn) return add_or_copy(dw, onednn_product(dy.t(), x.t(), {}), fresh);
  if (dw.scalar_type() != dy.scalar_type()) return add_or_copy(dw, at::mm(dy.t(), x), fresh);
  if (fresh) at::mm_out(dw, dy.t(), x);
  else dw.addmm_(dy.t(), x);
}

std::vector<ProductChoice> candidates(ProductKind kind, const at::Tensor& x) {
  std::vector<ProductChoice> list = {ProductChoice::aten};
  if (x.scalar_type() == at::kDouble) return list;
  if (linear_pointwise()) list.push_back(ProductChoice::onednn);
  if (kind == ProductKind::weight_gradient && x.scalar_type() == at::kBFloat16 && gemm_bf16() && fits_int(x))
    list.push_back(ProductChoice::mkl_accumulate);
  return list;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

template <class Run>
ProductChoice Products::choose(const Key& key, const std::vector<ProductChoice>& candidates, Run&& run) {
  const std::lock_guard lock(mutex_);
  if (const auto known = choices_.find(key); known != choices_.end()) return known->second;
  // LibTorch's default wins unless another is clearly faster, so that noise seldom decides: candidates take turns, and
  // what else goes on falls on all of them.
  constexpr double kMargin = 0.9;
  constexpr int kRepeats = 6;
  std::vector<double> fastest(candidates.size(), std::numeric_limits<double>::infinity());
  MemoryCounter apart;  // what a trial allocates once is not the step's memory
  const CountMemory aside(apart, Purpose::transient);
  for (int i = 0; i <= kRepeats && candidates.size() > 1; ++i)
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const auto start = std::chrono::steady_clock::now();
      run(candidates[c]);
      if (i > 0) fastest[c] = std::min(fastest[c], seconds_since(start));
    }
  std::size_t best = 0;
  for (std::size_t c = 1; c < candidates.size(); ++c)
    if (fastest[c] < fastest[best] * kMargin) best = c;
  const ProductChoice chosen = candidates[best];
  choices_.emplace(key, chosen);
  return chosen;
}

bool Products::in_place() {
  constexpr std::int64_t m = 1024, k = 512, n = 1024;
  at::Tensor dw, dy, x;
  const auto choice = choose({2, static_cast<std::int64_t>(at::kFloat), 0, 0, 0}, candidates(ProductKind::weight_gradient, at::empty({0})),
                             [&](ProductChoice c) {
                               if (!dw.defined()) dw = at::zeros({n, k}), dy = at::ones({m, n}), x = at::ones({m, k});
                               run_weight_gradient(c, dw, dy, x, false);
                             });
  return choice == ProductChoice::aten;
}

at::Tensor Products::forward(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor out) {
  if (out.defined() && x.scalar_type() == at::kFloat)
    return run_forward(in_place() ? ProductChoice::aten : ProductChoice::onednn, x, w, bias, std::move(out));
  const Key key = {0, static_cast<std::int64_t>(x.scalar_type()), x.size(0), x.size(1), w.size(0)};
  const auto choice =
      choose(key, candidates(ProductKind::forward, x), [&](ProductChoice c) { run_forward(c, x, w, bias, out); });
  return run_forward(choice, x, w, bias, std::move(out));
}

at::Tensor Products::input_gradient(const at::Tensor& dy, const at::Tensor& w, at::Tensor out) {
  if (out.defined() && dy.scalar_type() == at::kFloat)
    return run_input_gradient(in_place() ? ProductChoice::aten : ProductChoice::onednn, dy, w, std::move(out));
  const Key key = {1, static_cast<std::int64_t>(dy.scalar_type()), dy.size(0), w.size(1), w.size(0)};
  const auto choice = choose(key, candidates(ProductKind::input_gradient, dy),
                             [&](ProductChoice c) { run_input_gradient(c, dy, w, out); });
  return run_input_gradient(choice, dy, w, std::move(out));
}

void Products::weight_gradient(const at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x, bool fresh) {
  if (dy.scalar_type() == at::kFloat)
    return run_weight_gradient(in_place() ? ProductChoice::aten : ProductChoice::onednn, dw, dy, x, fresh);
  const Key key = {2, static_cast<std::int64_t>(dy.scalar_type()), x.size(0), x.size(1), dy.size(1)};
  at::Tensor trial;  // the measurement must not add to the gradient
  const auto choice = choose(key, candidates(ProductKind::weight_gradient, dy), [&](ProductChoice c) {
    if (!trial.defined()) trial = at::empty_like(dw).zero_();
    run_weight_gradient(c, trial, dy, x, false);
  });
  run_weight_gradient(choice, dw, dy, x, fresh);
}

std::vector<std::string> Products::lines() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto& [key, choice] : choices_) {
    const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const auto& t) { return static_cast<std::int64_t>(t.second) == key[1]; });
    lines.push_back(fmt::format("{} {} {} {} {} {}", kKinds[static_cast<std::size_t>(key[0])], type->first, key[2],
                                key[3], key[4], kChoices[static_cast<std::size_t>(choice)]));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void Products::preset(const std::vector<std::string>& lines) {
  std::map<Key, ProductChoice> parsed;
  for (const std::string& line : lines) {
    std::istringstream text(line);
    std::string kind, type, choice, rest;
    Key key{};
    text >> kind >> type >> key[2] >> key[3] >> key[4] >> choice;
    const auto kind_at = std::find(kKinds.begin(), kKinds.end(), kind);
    const auto type_at = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.first == type; });
    const auto choice_at = std::find(kChoices.begin(), kChoices.end(), choice);
    if (!text || text >> rest || kind_at == kKinds.end() || type_at == kTypes.end() || choice_at == kChoices.end())
      fail(
          "a product's choice reads '{}'; expected '<forward|input_gradient|weight_gradient> <f32|f64|bf16> M K N "
          "<aten|onednn|mkl_accumulate>'",
          line);
    key[0] = kind_at - kKinds.begin();
    key[1] = static_cast<std::int64_t>(type_at->second);
    const auto wanted = static_cast<ProductChoice>(choice_at - kChoices.begin());
    const bool fits = wanted != ProductChoice::mkl_accumulate || (kind == kKinds[2] && type == "bf16");
    if (!fits || (wanted != ProductChoice::aten && type == "f64"))
      fail("'{}': {} does not compute this product", line, choice);
    const bool here = wanted == ProductChoice::onednn ? linear_pointwise().has_value()
                                                      : wanted == ProductChoice::aten || gemm_bf16() != nullptr;
    if (!here) fail(ExitCode::unsupported, "'{}': this LibTorch does not offer {}", line, choice);
    parsed[key] = wanted;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [key, choice] : parsed) choices_[key] = choice;
}

double product_gflops() {
  constexpr std::int64_t n = 512;
  const at::Tensor a = at::ones({n, n}), b = at::ones({n, n});
  at::Tensor c = at::empty({n, n});
  double fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 6; ++i) {
    const auto start = std::chrono::steady_clock::now();
    at::mm_out(c, a, b);
    fastest = std::min(fastest, seconds_since(start));
  }
  return 2e-9 * n * n * n / fastest;
}

}  // namespace trellis
