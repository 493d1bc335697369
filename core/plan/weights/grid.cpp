#include "plan/weights/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "plan/weights/elements.h"

namespace trellis {
namespace {

// Side of a square of so many positions; 0: they are no square.
std::int64_t side_of(std::int64_t positions) {
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<std::int64_t>(0, positions)))));
  return side * side == positions ? side : 0;
}

// The four positions that one is made of, and their shares.
struct Taps {
  std::array<std::int64_t, 4> at;
  std::array<double, 4> share;
};

// Keys' cubic convolution, a = -0.75.
double cubic(double distance) {
  constexpr double a = -0.75;
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

Taps taps_of(std::int64_t position, std::int64_t from, std::int64_t to) {
  const double real = (static_cast<double>(position) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  const auto first = static_cast<std::int64_t>(std::floor(real)) - 1;
  Taps taps{};
  for (std::int64_t i = 0; i < 4; ++i) {
    taps.at[static_cast<std::size_t>(i)] = std::clamp<std::int64_t>(first + i, 0, from - 1);
    taps.share[static_cast<std::size_t>(i)] = cubic(real - static_cast<double>(first + i));
  }
  return taps;
}

}  // namespace

std::optional<ResampledGrid> resample(const TensorView& tensor, const Shape& wanted, std::int64_t before) {
  const std::size_t rank = wanted.size();
  const int type = element_type(tensor.dtype);
  if (rank < 2 || tensor.shape.size() != rank || type < 0) return {};
  for (std::size_t d = 0; d < rank; ++d)
    if (d + 2 != rank && (tensor.shape[d] != wanted[d] || (d + 2 < rank && wanted[d] != 1))) return {};
  ResampledGrid grid{side_of(tensor.shape[rank - 2] - before), side_of(wanted[rank - 2] - before), {}};
  if (grid.from == 0 || grid.to == 0) return {};

  const auto columns = static_cast<std::size_t>(wanted.back()), kept = static_cast<std::size_t>(before) * columns;
  const auto element = [&](std::size_t index) {
    return load_element(static_cast<ElementType>(type), tensor.bytes.data() + index * element_size(tensor.dtype));
  };
  grid.bytes.resize(static_cast<std::size_t>(elements(wanted)) * sizeof(double));
  std::byte* out = grid.bytes.data();
  const auto store = [&](double value) {
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  };
  for (std::size_t i = 0; i < kept; ++i) store(element(i));
  std::vector<double> row(columns);
  for (std::int64_t y = 0; y < grid.to; ++y)
    for (std::int64_t x = 0; x < grid.to; ++x) {
      const Taps down = taps_of(y, grid.from, grid.to), across = taps_of(x, grid.from, grid.to);
      std::fill(row.begin(), row.end(), 0.0);
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 4; ++j) {
          const auto from = static_cast<std::size_t>(before + down.at[i] * grid.from + across.at[j]) * columns;
          for (std::size_t c = 0; c < columns; ++c)
            row[c] += down.share[i] * across.share[j] * element(from + c);
        }
      for (const double value : row) store(value);
    }
  return grid;
}

}  // namespace trellis
