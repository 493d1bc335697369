#include "run/data/token_stream.h"

#include <algorithm>
#include <unordered_map>

#include "run/data/entropy.h"

namespace trellis::data {
namespace {

constexpr std::int64_t kCounted = 1 << 24;  // tokens of a row
constexpr std::int64_t kBlock = 1 << 16;

}  // namespace

double unigram_entropy(std::span<const TokenRow> rows) {
  std::unordered_map<std::int64_t, double> shares;
  double weights = 0;
  for (const TokenRow& row : rows) weights += row.weight;
  for (const TokenRow& row : rows) {
    std::unordered_map<std::int64_t, std::int64_t> counts;
    const std::int64_t size = std::min(row.tokens->size(), kCounted);
    std::vector<std::int64_t> block;
    for (std::int64_t at = 0; at < size; at += kBlock) {
      block.resize(static_cast<std::size_t>(std::min(kBlock, size - at)));
      row.tokens->read(at, block);
      for (const std::int64_t token : block) ++counts[token];
    }
    for (const auto& [token, count] : counts)
      shares[token] += row.weight / weights * static_cast<double>(count) / static_cast<double>(size);
  }
  std::vector<double> sorted;  // the same sum whatever the table's order
  for (const auto& [token, share] : shares) sorted.push_back(share);
  std::sort(sorted.begin(), sorted.end());
  return entropy_of(sorted);
}

}  // namespace trellis::data
