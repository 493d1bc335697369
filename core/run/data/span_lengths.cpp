#include "run/data/span_lengths.h"

#include <algorithm>
#include <cmath>

namespace trellis::data {
namespace {

std::int64_t rounded(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

}  // namespace

SpanLengths span_lengths(std::int64_t tokens, double share, double mean_span) {
  const std::int64_t cut_out = std::clamp<std::int64_t>(rounded(static_cast<double>(tokens) * share), 1, tokens - 1);
  const std::int64_t spans = rounded(static_cast<double>(cut_out) / mean_span);
  return {tokens, cut_out, std::clamp<std::int64_t>(spans, 1, std::min(cut_out, tokens - cut_out))};
}

// Each token more makes one of the two longer and neither shorter.
SpanLengths longest_text(std::int64_t encoder, std::int64_t decoder, double share, double mean_span) {
  SpanLengths longest;
  for (std::int64_t tokens = 2;; ++tokens) {
    const SpanLengths lengths = span_lengths(tokens, share, mean_span);
    if (lengths.encoder() > encoder || lengths.decoder() > decoder) return longest;
    longest = lengths;
  }
}

}  // namespace trellis::data
