// The options of family vit (Dosovitskiy et al. 2021).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trellis/plan/model.h"
#include "trellis/plan/option_fields.h"

namespace trellis::vit {

struct VitOptions {
  std::int64_t image_size, patch_size, channels;  // pixels of an image's side, of a patch's side
  std::int64_t hidden, layers, heads, head_dim, ffn;
  std::int64_t classes, class_multiple;  // the head has classes rounded up; the loss masks the surplus
  bool qkv_bias;
  std::string activation;  // gelu_exact (by the error function) | gelu (tanh form)
  double dropout, attention_dropout, norm_eps, init_std;

  static VitOptions read(const Options&);  // Error with the option's place
  VitOptions shrunk() const;
  Options written() const;

  std::int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  std::int64_t sequence() const { return patches() + 1; }  // with the class token
  std::int64_t padded_classes() const { return round_up(classes, class_multiple); }
  std::vector<Dim> dims() const;

 private:
  void each(OptionFields);
};

}  // namespace trellis::vit
