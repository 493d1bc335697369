#include <numeric>

#include "fuzz/target.h"
#include "plan/weights/safetensors.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::expect_error_or_nothing([&] {
    const SafetensorsFile file(fuzz::write("a.safetensors", fuzz::text_of(data, size)));
    unsigned sum = 0;
    for (const TensorView& tensor : file.tensors())
      for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
    if (sum > size * 255) std::abort();
  });
  return 0;
}
