#include "run/kernels/attention_blocked.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "run/kernels/parallel.h"
#include "run/kernels/philox.h"
#include "trellis/plan/error.h"

extern "C" {  // Fortran BLAS, exported by libtorch_cpu
void sgemm_(const char* ta, const char* tb, const int* m, const int* n, const int* k, const float* alpha,
            const float* a, const int* lda, const float* b, const int* ldb, const float* beta, float* c,
            const int* ldc);
void dgemm_(const char* ta, const char* tb, const int* m, const int* n, const int* k, const double* alpha,
            const double* a, const int* lda, const double* b, const int* ldb, const double* beta, double* c,
            const int* ldc);
}

namespace trellis {
namespace {

template <class T>
struct Matrix {
  T* data;
  std::int64_t stride;
};  // row-major
enum class Form : char { plain = 'N', transposed = 'T' };

void gemm(const char* ta, const char* tb, const int* m, const int* n, const int* k, float alpha, const float* a,
          const int* lda, const float* b, const int* ldb, float beta, float* c, const int* ldc) {
  sgemm_(ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
}
void gemm(const char* ta, const char* tb, const int* m, const int* n, const int* k, double alpha, const double* a,
          const int* lda, const double* b, const int* ldb, double beta, double* c, const int* ldc) {
  dgemm_(ta, tb, m, n, k, &alpha, a, lda, b, ldb, &beta, c, ldc);
}

// c [m n] = alpha op(a) op(b) + beta c. BLAS is column-major: it computes the transpose, with the factors exchanged.
template <class T>
void product(Form form_a, Form form_b, std::int64_t m, std::int64_t n, std::int64_t k, double alpha, Matrix<const T> a,
             Matrix<const T> b, double beta, Matrix<T> c) {
  const char ta = static_cast<char>(form_b), tb = static_cast<char>(form_a);
  const int mi = static_cast<int>(n), ni = static_cast<int>(m), ki = static_cast<int>(k);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride), ldc = static_cast<int>(c.stride);
  gemm(&ta, &tb, &mi, &ni, &ki, static_cast<T>(alpha), b.data, &lda, a.data, &ldb, static_cast<T>(beta), c.data, &ldc);
}

// Scores become probabilities, not yet divided by their sum; keys from `visible` on get none.
template <class T>
TRELLIS_INLINE T softmax_row(T* row, std::int64_t visible, std::int64_t width, T& sum) {
  const T top = lane_max<T>(visible, -INFINITY, [&](std::int64_t j) { return row[j]; });
  sum = lane_sum<T>(visible, [&](std::int64_t j) { return row[j] = fast_exp(row[j] - top); });
  for (std::int64_t j = visible; j < width; ++j) row[j] = 0;
  return top;
}
TRELLIS_CLONES float softmax(float* row, std::int64_t visible, std::int64_t width, float& sum) {
  return softmax_row(row, visible, width, sum);
}
TRELLIS_CLONES double softmax(double* row, std::int64_t visible, std::int64_t width, double& sum) {
  return softmax_row(row, visible, width, sum);
}

template <class T>
TRELLIS_INLINE void scale_row(T* row, T factor, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) row[j] *= factor;
}
TRELLIS_CLONES void scale(float* row, float factor, std::int64_t n) { scale_row(row, factor, n); }
TRELLIS_CLONES void scale(double* row, double factor, std::int64_t n) { scale_row(row, factor, n); }

template <class T>
TRELLIS_INLINE void accumulate_row(T* to, const T* from, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) to[j] += from[j];
}
TRELLIS_CLONES void accumulate(float* to, const float* from, std::int64_t n) { accumulate_row(to, from, n); }
TRELLIS_CLONES void accumulate(double* to, const double* from, std::int64_t n) { accumulate_row(to, from, n); }

template <class T>
TRELLIS_INLINE void mask_row(T* row, const std::uint32_t* words, std::uint32_t threshold, T factor, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) row[j] = words[j] >= threshold ? row[j] * factor : T(0);
}
TRELLIS_CLONES void mask(float* row, const std::uint32_t* words, std::uint32_t threshold, float factor,
                         std::int64_t n) {
  mask_row(row, words, threshold, factor, n);
}
TRELLIS_CLONES void mask(double* row, const std::uint32_t* words, std::uint32_t threshold, double factor,
                         std::int64_t n) {
  mask_row(row, words, threshold, factor, n);
}

// p: scores -> probabilities; dp: gradient of the (masked) probabilities -> gradient of the scores.
template <class T>
TRELLIS_INLINE void gradient_row(T* p, T* dp, T lse, const T* output, const T* d_output, std::int64_t d,
                                 std::int64_t visible, std::int64_t width) {
  const T delta = lane_sum<T>(d, [&](std::int64_t j) { return output[j] * d_output[j]; });
  for (std::int64_t j = 0; j < visible; ++j) {
    p[j] = fast_exp(p[j] - lse);
    dp[j] = p[j] * (dp[j] - delta);
  }
  for (std::int64_t j = visible; j < width; ++j) p[j] = dp[j] = 0;
}
TRELLIS_CLONES void gradient(float* p, float* dp, float lse, const float* output, const float* d_output, std::int64_t d,
                             std::int64_t visible, std::int64_t width) {
  gradient_row(p, dp, lse, output, d_output, d, visible, width);
}
TRELLIS_CLONES void gradient(double* p, double* dp, double lse, const double* output, const double* d_output,
                             std::int64_t d, std::int64_t visible, std::int64_t width) {
  gradient_row(p, dp, lse, output, d_output, d, visible, width);
}

// Scores of a query: the bias is added, keys that are not seen get none.
template <class T>
TRELLIS_INLINE void bias_row(T* row, const T* bias, const std::int64_t* mask, std::int64_t n) {
  if (bias)
    for (std::int64_t j = 0; j < n; ++j) row[j] += bias[j];
  if (mask)
    for (std::int64_t j = 0; j < n; ++j) row[j] = mask[j] ? row[j] : T(-INFINITY);
}
TRELLIS_CLONES void add_bias(float* row, const float* bias, const std::int64_t* mask, std::int64_t n) {
  bias_row(row, bias, mask, n);
}
TRELLIS_CLONES void add_bias(double* row, const double* bias, const std::int64_t* mask, std::int64_t n) {
  bias_row(row, bias, mask, n);
}
// Zero where a key is not seen: fast_exp does not underflow.
template <class T>
TRELLIS_INLINE void clear_row(T* row, const std::int64_t* mask, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) row[j] = mask[j] ? row[j] : T(0);
}
TRELLIS_CLONES void clear(float* row, const std::int64_t* mask, std::int64_t n) { clear_row(row, mask, n); }
TRELLIS_CLONES void clear(double* row, const std::int64_t* mask, std::int64_t n) { clear_row(row, mask, n); }

constexpr std::int64_t kMostRows = 256;

// Queries in a block. Under a causal mask small blocks compute less in vain, otherwise large ones pack keys less often;
// a block's scores stay within the second-level cache. Measured on one core of a Xeon with AVX-512, f32, d 64, forward
// and backward in ms, against LibTorch's flash kernel (b s heads):
//   causal      8 128 4: 1.1 1.8, flash 1.2 2.5    4 256 8: 3.2 6.2, flash 4.1 9.2    2 1024 8: 20 49, flash 26 60
//   not causal  8 128 4: 1.1 2.2, flash 1.2 2.5    4 256 8: 3.9 8.9, flash 4.1 9.0    2 1024 8: 29 82, flash 30 76
// The contract's scratch (plan/model/ops/attention.cpp) has the same rule, and that of columns.
std::int64_t attention_block(std::int64_t keys, bool causal) {
  const std::int64_t rows = !causal ? kMostRows : keys <= 512 ? 32 : 64;
  return std::clamp<std::int64_t>((std::int64_t(1) << 18) / std::max<std::int64_t>(keys, 1), 16, rows);
}

// Keys that the queries of a block see together, at the most.
std::int64_t columns_of(const AttentionShape& a) {
  constexpr std::int64_t kMostCausalRows = 64;
  return a.window > 0 ? std::min(a.t, a.window + kMostCausalRows - 1) : a.t;
}

// Where one head of one sample lies.
struct Geometry {
  Geometry(const AttentionShape& a, const std::int64_t* keys_mask)
      : a(a), mask(keys_mask), reach(static_cast<std::size_t>(a.b), std::min(a.keys, a.t)), holes(reach.size()) {
    columns = columns_of(a);
    block = attention_block(columns, a.causal);
    blocks = (a.s + block - 1) / block;
    for (std::int64_t b = 0; mask && b < a.b; ++b) {
      const std::int64_t* row = mask + b * a.t;
      std::int64_t& end = reach[static_cast<std::size_t>(b)];
      while (end > 0 && row[end - 1] == 0) --end;
      holes[static_cast<std::size_t>(b)] = std::find(row, row + end, 0) != row + end;
    }
  }
  std::int64_t q_stride() const { return a.g * a.r * a.d; }
  std::int64_t k_stride() const { return a.g * a.d; }
  std::int64_t q_at(std::int64_t b, std::int64_t head, std::int64_t query) const {
    return ((b * a.s + query) * a.g * a.r + head) * a.d;
  }
  std::int64_t k_at(std::int64_t b, std::int64_t group) const { return (b * a.t * a.g + group) * a.d; }
  std::int64_t visible(std::int64_t b, std::int64_t query) const {
    const std::int64_t end = reach[static_cast<std::size_t>(b)];
    return a.causal ? std::min(end, query + 1) : end;
  }
  // The first key that a query sees, if any.
  std::int64_t first(std::int64_t query) const { return a.window > 0 ? std::max<std::int64_t>(0, query + 1 - a.window) : 0; }
  // Of a sample in which keys before the last one that is seen are not; else null.
  const std::int64_t* hidden(std::int64_t b) const {
    return holes[static_cast<std::size_t>(b)] ? mask + b * a.t : nullptr;
  }
  std::int64_t distances() const { return a.s + a.t - 1; }
  // Of one query of a head, by key.
  std::int64_t distance_at(std::int64_t head, std::int64_t query) const { return head * distances() + a.s - 1 - query; }

  const AttentionShape& a;
  const std::int64_t* mask;
  std::vector<std::int64_t> reach;  // by sample: one more than the last key that is seen
  std::vector<char> holes;          // by sample
  std::int64_t columns, block, blocks;
};

// The keys [from, to) of a block of queries, and those of one of its queries, counted from the block's first.
struct Seen {
  Seen(const Geometry& at, std::int64_t b, std::int64_t begin, std::int64_t end)
      : at(at), b(b), from(std::min(at.first(begin), at.visible(b, end - 1))), width(at.visible(b, end - 1) - from) {}
  std::int64_t begin_of(std::int64_t query) const { return std::min(at.first(query) - from, end_of(query)); }
  std::int64_t end_of(std::int64_t query) const { return std::max<std::int64_t>(0, at.visible(b, query) - from); }

  const Geometry& at;
  std::int64_t b, from, width;
};

// The bias and mask of a query's scores, which are those of keys [from, from + n).
template <class T>
void adjust(const AttentionBias& bias, const Geometry& at, std::int64_t b, std::int64_t head, std::int64_t query,
            std::int64_t from, std::int64_t n, T* row) {
  const T* distances =
      bias.by_distance ? static_cast<const T*>(bias.by_distance) + at.distance_at(head, query) + from : nullptr;
  const std::int64_t* hidden = at.hidden(b) ? at.hidden(b) + from : nullptr;
  if (distances || hidden) add_bias(row, distances, hidden, n);
}

// Words for keys [from, from + n) of one query of one head.
void row_words(const AttentionRandom& random, const AttentionShape& a, std::int64_t b, std::int64_t head,
               std::int64_t query, std::int64_t from, std::int64_t n, std::uint32_t* words) {
  const std::int64_t whole = (random.first_group + head / a.r) * random.queries + random.first_query + head % a.r;
  const std::int64_t first = (query * random.heads + whole) * random.keys + from;
  philox_words(random.key, static_cast<std::uint64_t>(random.samples[b]), static_cast<std::uint64_t>(first), n, words);
}

template <class T>
void forward_block(const AttentionForward& f, const Geometry& at, std::int64_t b, std::int64_t head, std::int64_t begin,
                   T* scores, std::uint32_t* words) {
  const AttentionShape& a = f.shape;
  const std::int64_t end = std::min(a.s, begin + at.block), rows = end - begin;
  const Seen seen(at, b, begin, end);
  const std::int64_t width = seen.width, k_at = at.k_at(b, head / a.r) + seen.from * at.k_stride();
  const Matrix<const T> q{static_cast<const T*>(f.q) + at.q_at(b, head, begin), at.q_stride()};
  const Matrix<const T> k{static_cast<const T*>(f.k) + k_at, at.k_stride()};
  const Matrix<const T> v{static_cast<const T*>(f.v) + k_at, at.k_stride()};
  const Matrix<T> output{static_cast<T*>(f.output) + at.q_at(b, head, begin), at.q_stride()};
  T* lse = static_cast<T*>(f.lse) + (b * a.g * a.r + head) * a.s + begin;
  if (width == 0) {
    for (std::int64_t i = 0; i < rows; ++i) std::fill_n(output.data + i * output.stride, a.d, T(0)), lse[i] = 0;
    return;
  }
  T sums[kMostRows];
  product<T>(Form::plain, Form::transposed, rows, width, a.d, a.scale, q, k, 0, {scores, width});
  const DropoutRule rule(a.dropout);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t query = begin + i, skipped = seen.begin_of(query), visible = seen.end_of(query) - skipped,
                       from = seen.from + skipped;
    T* row = scores + i * width;
    std::fill_n(row, skipped, T(0));
    row += skipped;
    adjust(f.bias, at, b, head, query, from, visible, row);
    const T top = softmax(row, visible, width - skipped, sums[i]);
    if (at.hidden(b)) clear(row, at.hidden(b) + from, visible);
    if (top == -INFINITY) {
      std::fill_n(row, width - skipped, T(0));
      sums[i] = 1, lse[i] = 0;
      continue;
    }
    lse[i] = top + std::log(sums[i]);
    if (a.dropout > 0) {
      row_words(f.random, a, b, head, query, from, visible, words);
      mask(row, words, rule.threshold, static_cast<T>(rule.scale), visible);
    }
  }
  product<T>(Form::plain, Form::plain, rows, a.d, width, 1, {scores, width}, v, 0, output);
  for (std::int64_t i = 0; i < rows; ++i) scale(output.data + i * output.stride, 1 / sums[i], a.d);
}

template <class T>
void backward_block(const AttentionBackward& f, const Geometry& at, std::int64_t b, std::int64_t head,
                    std::int64_t begin, T* p, T* dp, std::uint32_t* words) {
  const AttentionShape& a = f.shape;
  const std::int64_t end = std::min(a.s, begin + at.block), rows = end - begin;
  const Seen seen(at, b, begin, end);
  const std::int64_t width = seen.width;
  const std::int64_t q_at = at.q_at(b, head, begin), k_at = at.k_at(b, head / a.r) + seen.from * at.k_stride();
  const Matrix<const T> q{static_cast<const T*>(f.q) + q_at, at.q_stride()};
  const Matrix<const T> k{static_cast<const T*>(f.k) + k_at, at.k_stride()};
  const Matrix<const T> v{static_cast<const T*>(f.v) + k_at, at.k_stride()};
  const Matrix<const T> output{static_cast<const T*>(f.output) + q_at, at.q_stride()};
  const Matrix<const T> d_output{static_cast<const T*>(f.d_output) + q_at, at.q_stride()};
  const Matrix<T> dq{static_cast<T*>(f.dq) + q_at, at.q_stride()};
  const Matrix<T> dk{static_cast<T*>(f.dk) + k_at, at.k_stride()}, dv{static_cast<T*>(f.dv) + k_at, at.k_stride()};
  const T* lse = static_cast<const T*>(f.lse) + (b * a.g * a.r + head) * a.s + begin;
  if (width == 0) {
    for (std::int64_t i = 0; i < rows; ++i) std::fill_n(dq.data + i * dq.stride, a.d, T(0));
    return;
  }
  product<T>(Form::plain, Form::transposed, rows, width, a.d, a.scale, q, k, 0, {p, width});
  product<T>(Form::plain, Form::transposed, rows, width, a.d, 1, d_output, v, 0, {dp, width});
  const DropoutRule rule(a.dropout);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t query = begin + i, skipped = seen.begin_of(query), visible = seen.end_of(query) - skipped,
                       from = seen.from + skipped;
    T *p_row = p + i * width, *dp_row = dp + i * width;
    std::fill_n(p_row, skipped, T(0)), std::fill_n(dp_row, skipped, T(0));
    p_row += skipped, dp_row += skipped;
    adjust(f.bias, at, b, head, query, from, visible, p_row);
    if (a.dropout > 0) {
      row_words(f.random, a, b, head, query, from, visible, words);
      mask(dp_row, words, rule.threshold, static_cast<T>(rule.scale), visible);
    }
    gradient(p_row, dp_row, lse[i], output.data + i * output.stride, d_output.data + i * d_output.stride, a.d, visible,
             width - skipped);
    if (at.hidden(b)) clear(p_row, at.hidden(b) + from, visible), clear(dp_row, at.hidden(b) + from, visible);
    if (f.d_by_distance)
      accumulate(static_cast<T*>(f.d_by_distance) + b * a.g * a.r * at.distances() + at.distance_at(head, query) + from,
                 dp_row, visible);
    if (a.dropout > 0) mask(p_row, words, rule.threshold, static_cast<T>(rule.scale), visible);
  }
  product<T>(Form::transposed, Form::plain, width, a.d, rows, 1, {p, width}, d_output, 1, dv);
  product<T>(Form::plain, Form::plain, rows, a.d, width, a.scale, {dp, width}, k, 0, dq);
  product<T>(Form::transposed, Form::plain, width, a.d, rows, a.scale, {dp, width}, q, 1, dk);
}

// Each thread's scratch: one or two blocks of scores, and the random words of a row.
template <class T>
struct Scratch {
  Scratch(const Geometry& at, int tables)
      : size((at.block * at.columns + 15) / 16 * 16),
        words_size(at.a.dropout > 0 ? at.a.t : 0),
        scores(at::empty({thread_count() * tables * size}, c10::CppTypeToScalarType<T>::value)),
        words(at::empty({thread_count() * words_size}, at::kInt)),
        tables(tables) {
    data = scores.template mutable_data_ptr<T>();
    word_data = reinterpret_cast<std::uint32_t*>(words.template mutable_data_ptr<std::int32_t>());
  }
  T* table(int i) const { return data + (thread_index() * tables + i) * size; }
  std::uint32_t* row() const { return word_data + thread_index() * words_size; }

  std::int64_t size, words_size;
  at::Tensor scores, words;
  T* data;
  std::uint32_t* word_data;
  int tables;
};

template <class T>
void forward_of(const AttentionForward& f) {
  const AttentionShape& a = f.shape;
  const Geometry at(a, f.bias.mask);
  const Scratch<T> scratch(at, 1);
  parallel_tasks(a.b * a.g * a.r * at.blocks, [&](std::int64_t task) {
    const std::int64_t head = task / at.blocks % (a.g * a.r), b = task / (at.blocks * a.g * a.r);
    forward_block<T>(f, at, b, head, task % at.blocks * at.block, scratch.table(0), scratch.row());
  });
}

template <class T>
void backward_of(const AttentionBackward& f) {
  const AttentionShape& a = f.shape;
  const Geometry at(a, f.bias.mask);
  const Scratch<T> scratch(at, 2);
  // One task for each key head: its gradients are sums over queries, taken in one order.
  parallel_tasks(a.b * a.g, [&](std::int64_t task) {
    const std::int64_t b = task / a.g, group = task % a.g;
    for (void* gradient : {f.dk, f.dv})
      for (std::int64_t key = 0; key < a.t; ++key)
        std::fill_n(static_cast<T*>(gradient) + at.k_at(b, group) + key * at.k_stride(), a.d, T(0));
    for (std::int64_t head = group * a.r; head < (group + 1) * a.r; ++head)
      for (std::int64_t block = 0; block < at.blocks; ++block)
        backward_block<T>(f, at, b, head, block * at.block, scratch.table(0), scratch.table(1), scratch.row());
  });
}

}  // namespace

void attention_forward(const AttentionForward& f) {
  f.real == Real::f64 ? forward_of<double>(f) : forward_of<float>(f);
}
void attention_backward(const AttentionBackward& b) {
  b.real == Real::f64 ? backward_of<double>(b) : backward_of<float>(b);
}

}  // namespace trellis
