#include "run/executor/initial_weights.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

#include "trellis/run/kernel.h"

namespace trellis {
namespace {

std::uint64_t hash(const std::string& text) {  // FNV-1a, 64 bits
  std::uint64_t h = 1469598103934665603u;
  for (unsigned char c : text) h = (h ^ c) * 1099511628211u;
  return h;
}

// Normal variates in pairs by Box and Muller from the four words of one counter.
class NormalStream {
 public:
  explicit NormalStream(std::uint64_t key) : philox_{key} {}
  double at(std::int64_t index) {
    const std::int64_t block = index / 2;
    if (block != block_) fill(block);
    return values_[index % 2];
  }

 private:
  void fill(std::int64_t block) {
    const Philox::Words words = philox_(0, static_cast<std::uint64_t>(block));
    const auto uniform = [](std::uint32_t high, std::uint32_t low) {  // (0, 1)
      return (static_cast<double>((std::uint64_t{high} << 21) ^ (low >> 11)) + 0.5) * 0x1p-53;
    };
    const double radius = std::sqrt(-2 * std::log(uniform(words.w[0], words.w[1])));
    const double angle = 2 * std::numbers::pi * uniform(words.w[2], words.w[3]);
    values_[0] = radius * std::cos(angle), values_[1] = radius * std::sin(angle);
    block_ = block;
  }
  Philox philox_;
  std::int64_t block_ = -1;
  double values_[2] = {};
};

}  // namespace

void fill_initial(const Parameter& parameter, const std::string& full_name, std::uint64_t seed, const Shape& global, const Box& box,
                  at::Tensor local) {
  if (parameter.init != Parameter::Init::normal) {
    local.fill_(parameter.init == Parameter::Init::ones ? 1.0 : 0.0);
    return;
  }
  NormalStream normal(mix({seed, hash(full_name)}));
  double* out = local.data_ptr<double>();
  const std::size_t rank = global.size();
  const std::int64_t row = rank == 0 ? 1 : box.end[rank - 1] - box.begin[rank - 1];
  const std::int64_t rows = row == 0 ? 0 : local.numel() / row;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t rest = r, index = 0, stride = rank == 0 ? 1 : global[rank - 1];
    for (std::size_t d = rank - 1; d-- > 0;) {
      const std::int64_t length = box.end[d] - box.begin[d];
      index += (box.begin[d] + rest % length) * stride;
      rest /= length;
      stride *= global[d];
    }
    index += box.begin[rank - 1];
    for (std::int64_t c = 0; c < row; ++c) *out++ = parameter.init_std * normal.at(index + c);
  }
}

}  // namespace trellis
