#include "plan/weights/elements.h"

#include "trellis/plan/error.h"

namespace trellis {

int element_type(std::string_view dtype) {
  constexpr std::string_view kNames[] = {"F32", "BF16", "F16", "F64"};
  for (int i = 0; i < 4; ++i)
    if (kNames[i] == dtype) return i;
  return -1;
}

std::string_view dtype_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "F32";
    case Dtype::bf16:
      return "BF16";
    case Dtype::f64:
      return "F64";
    default:
      fail(ExitCode::failure, "no parameter has the dtype {}", name_of(dtype));
  }
}

double load_element(ElementType type, const std::byte* at) {
  switch (type) {
    case ElementType::f32:
      return element::load<float>(at);
    case ElementType::bf16:
      return element::bf16(at);
    case ElementType::f16:
      return element::f16(at);
    case ElementType::f64:
      break;
  }
  return element::load<double>(at);
}

void store_element(ElementType type, double value, std::byte* at) {
  const auto single = static_cast<float>(value);
  const std::uint16_t half = element::to_bf16(single);
  switch (type) {
    case ElementType::f32:
      std::memcpy(at, &single, sizeof single);
      return;
    case ElementType::bf16:
      std::memcpy(at, &half, sizeof half);
      return;
    case ElementType::f64:
      std::memcpy(at, &value, sizeof value);
      return;
    case ElementType::f16:
      fail(ExitCode::failure, "F16 is read, not written");
  }
}

}  // namespace trellis
