// A folder whose config.json is the input, beside a weight that no model has.
#include "fuzz/target.h"
#include "plan/weights/import.h"
#include "plan/weights/safetensors.h"
#include "support/plugins.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool ready = [] {
    SafetensorsWriter writer(fuzz::folder() / "model.safetensors", {{"wte.weight", "F32", {2, 2}}});
    writer.commit();
    return true;
  }();
  if (ready)
    fuzz::expect_error_or_nothing([&] {
      fuzz::write("config.json", fuzz::text_of(data, size));
      import_model(fuzz::folder(), test::plugins());
    });
  return 0;
}
