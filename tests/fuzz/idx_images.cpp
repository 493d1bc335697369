// The first byte: how many of the bytes after it are the file of labels. The rest: the file of images.
#include <algorithm>

#include "data/images/image_set.h"
#include "fuzz/target.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t labels = std::min<std::size_t>(data[0], size - 1);
  fuzz::expect_error_or_nothing([&] {
    fuzz::write("labels", fuzz::text_of(data + 1, labels));
    fuzz::write("images", fuzz::text_of(data + 1 + labels, size - 1 - labels));
    const data::ImageSetPointer set = data::open_idx(fuzz::folder() / "images", fuzz::folder() / "labels");
    for (std::int64_t i = 0; i < set->size(); ++i)
      if (set->decode(i).pixels.empty() || set->label(i) >= static_cast<std::int64_t>(set->classes().size())) std::abort();
  });
  return 0;
}
