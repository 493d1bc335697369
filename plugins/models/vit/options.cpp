#include "options.h"

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::vit {

void VitOptions::each(OptionFields f) {
  f.size("image_size", image_size, 224);
  f.size("patch_size", patch_size, 16);
  f.size("channels", channels, 3);
  f.size("hidden", hidden, 768);
  f.size("layers", layers, 12);
  f.size("heads", heads, 12);
  f.size("head_dim", head_dim, std::max<std::int64_t>(1, hidden / std::max<std::int64_t>(1, heads)));
  f.size("ffn", ffn, 4 * hidden);
  f.size("classes", classes, 1000);
  f.size("class_multiple", class_multiple, 8);
  f.flag("qkv_bias", qkv_bias, true);
  f.word("activation", activation, {"gelu_exact", "gelu"}, "gelu_exact");
  f.probability("dropout", dropout);
  f.probability("attention_dropout", attention_dropout);
  f.positive("norm_eps", norm_eps, 1e-12);
  f.positive("init_std", init_std, 0.02);
}

VitOptions VitOptions::read(const Options& options) {
  VitOptions o;
  o.each(OptionFields::reading(options));
  if (o.image_size % o.patch_size != 0)
    options.reject("patch_size", fmt::format("patches of {} pixels do not divide images of {}", o.patch_size, o.image_size));
  if (!options.has("head_dim") && o.hidden % o.heads != 0)
    options.reject("heads", fmt::format("{} heads do not divide hidden {}", o.heads, o.hidden),
                   "change one of them, or write head_dim");
  return o;
}

VitOptions VitOptions::shrunk() const {
  VitOptions o = *this;
  o.image_size = 8, o.patch_size = 2, o.channels = std::min<std::int64_t>(channels, 3);  // 17 tokens
  o.hidden = 16, o.layers = std::min<std::int64_t>(layers, 3), o.heads = 4, o.head_dim = 4, o.ffn = 32;
  o.classes = 10, o.class_multiple = 4;  // so that padded classes are there to be masked
  return o;
}

Options VitOptions::written() const {
  Options options = Options::empty("vit");
  VitOptions(*this).each(OptionFields::writing(options));
  return options;
}

std::vector<Dim> VitOptions::dims() const {
  const auto dim = [](std::string name, std::string_view role, std::int64_t size) {
    return Dim{std::move(name), std::string(role), size};
  };
  return {dim("batch", kBatch, 0),
          dim("sequence", kSequence, sequence()),
          dim("keys", kSequence, sequence()),
          dim("hidden", kHidden, hidden),
          dim("heads", kHeads, heads),
          dim("queries_per_head", kHeads, 1),
          dim("head_dim", kOther, head_dim),
          dim("ffn", kFfn, ffn),
          dim("classes", kVocab, padded_classes()),
          dim("positions", kPositions, sequence()),
          dim("pixels", kOther, patch_size * patch_size * channels)};
}

}  // namespace trellis::vit
