// What happens to text before it is cut into words: NFC, NFD, small letters, BERT's cleaning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trellis::data {

struct NormalizerStep {
  enum class Kind { nfc, nfd, lower, bert } kind = Kind::nfc;
  bool clean = true, ideographs = true, strip_accents = true, lower = true;  // of bert
};

std::string normalize(const NormalizerStep& step, std::string_view text);
std::string normalize(const std::vector<NormalizerStep>& steps, std::string_view text);

}  // namespace trellis::data
