#include "data/tokenizer/pipeline.h"
#include "fuzz/target.h"

using namespace trellis;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::expect_error_or_nothing([&] {
    const auto file = fuzz::write("tokenizer.json", fuzz::text_of(data, size));
    const auto tokenizer = data::make_pipeline(data::read_tokenizer_json(file));
    std::vector<data::TokenId> out;
    const std::string text =
        "It's  a t\u00e9st \u4e2d\u6587\n\n12345 <|endoftext|>e\u0301 [MASK]" + std::string(60, 'a');
    tokenizer->encoder()->encode(text, "text", out);
    for (const data::TokenId token : out)
      if (token < 0 || token >= tokenizer->vocab()) std::abort();
  });
  return 0;
}
