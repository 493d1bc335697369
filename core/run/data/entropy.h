// Entropy of frequencies, in nats: the loss of a model that has learned nothing but how frequent each answer is.
#pragma once

#include <cmath>
#include <span>

namespace trellis::data {

// `shares` add up to 1.
inline double entropy_of(std::span<const double> shares) {
  double entropy = 0;
  for (const double p : shares)
    if (p > 0) entropy -= p * std::log(p);
  return entropy;
}

}  // namespace trellis::data
