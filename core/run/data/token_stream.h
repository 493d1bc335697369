// What is known of text before a model sees it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/samples/run_data.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// Entropy of the tokens' frequencies, in nats: the loss of a model that has learned nothing but how frequent each is.
// Of several rows by their weights. Of a long row only the first millions of tokens are counted.
TRELLIS_API double unigram_entropy(std::span<const TokenRow> rows);

}  // namespace trellis::data
