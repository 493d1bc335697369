#include "run/kernels/distance.h"

#include <algorithm>
#include <cmath>

#include "run/kernels/support.h"

namespace trellis {
namespace {

std::int64_t bucket_of(std::int64_t distance, std::int64_t rows, bool causal, std::int64_t max_distance) {
  std::int64_t first = 0;
  if (!causal) {
    rows /= 2;
    if (distance > 0) first = rows;
  }
  const std::int64_t far = causal ? std::max<std::int64_t>(-distance, 0) : std::abs(distance), exact = rows / 2;
  if (far < exact) return first + far;
  const float share = std::log(static_cast<float>(far) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  return first + std::min(exact + static_cast<std::int64_t>(share * static_cast<float>(rows - exact)), rows - 1);
}

}  // namespace

double attention_scale(const KernelContext& c, std::int64_t head_dim) {
  const double scale = c.op->real("scale");
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(head_dim));
}

std::int64_t real_keys(const KernelContext& c, std::int64_t local) {
  const std::int64_t size = c.layer->dims[static_cast<std::size_t>(c.op->input_dims[1][1])].size;
  return size > 0 ? std::min(size, local) : local;
}

std::vector<std::int64_t> distance_buckets(const KernelContext& c, std::int64_t queries, std::int64_t keys) {
  const std::int64_t rows = c.layer->dims[static_cast<std::size_t>(parameter_dims(c, 0)[0])].size;
  const bool causal = c.op->integer("causal") != 0;
  const std::int64_t max_distance = c.op->integer("max_distance", 128);
  std::vector<std::int64_t> buckets;
  for (std::int64_t distance = 1 - queries; distance < keys; ++distance)
    buckets.push_back(bucket_of(distance, rows, causal, max_distance));
  return buckets;
}

}  // namespace trellis
