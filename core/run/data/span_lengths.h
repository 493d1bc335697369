// Lengths of samples whose spans were cut out (Raffel et al. 2020, "Exploring the limits of transfer learning with a
// unified text-to-text transformer", section 3.1.4).
#pragma once

#include <cstdint>

#include "trellis/plan/export.h"

namespace trellis::data {

// Of each sample, all alike: only where its spans are differs.
struct SpanLengths {
  std::int64_t tokens = 0;    // of the text
  std::int64_t cut_out = 0;   // of these
  std::int64_t spans = 0;     // that they make, each with text before it

  std::int64_t encoder() const { return tokens - cut_out + spans + 1; }  // a sentinel for each span, and the end
  std::int64_t decoder() const { return cut_out + spans + 1; }           // a sentinel before each span, and the end
};

// Of a text of two tokens or more.
TRELLIS_API SpanLengths span_lengths(std::int64_t tokens, double share, double mean_span);
// The longest text whose corrupted form is no longer than either sequence; tokens 0 where there is none.
TRELLIS_API SpanLengths longest_text(std::int64_t encoder, std::int64_t decoder, double share, double mean_span);

}  // namespace trellis::data
