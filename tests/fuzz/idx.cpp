// The first two bytes: the length of the .bin. The rest: the .idx.
#include "data/indexed/indexed.h"
#include "fuzz/target.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  fuzz::expect_error_or_nothing([&] {
    fuzz::write("a.bin", std::string(static_cast<std::size_t>(data[0] | data[1] << 8), '\1'));
    fuzz::write("a.idx", fuzz::text_of(data + 2, size - 2));
    const data::IndexedFile file(fuzz::folder() / "a");
    std::vector<std::int64_t> tokens(static_cast<std::size_t>(file.tokens()));
    file.read(0, tokens);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < file.sequences(); ++i) sum += file.length(i);
    if (sum != file.tokens() || file.first_sequence(file.documents()) != file.sequences()) std::abort();
  });
  return 0;
}
