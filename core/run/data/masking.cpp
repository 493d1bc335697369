#include "run/data/masking.h"

#include "run/data/random.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

// Of each position: whether it is masked, by what, and which random token.
constexpr std::uint64_t kChosen = 0x6d61736b, kFate = kChosen + 1, kRandomToken = kChosen + 2;

std::uint64_t random(std::uint64_t seed, std::uint64_t stream, std::int64_t cursor, std::int64_t position) {
  return mix({seed, stream, static_cast<std::uint64_t>(cursor), static_cast<std::uint64_t>(position)});
}

}  // namespace

WordPart Masker::part(std::int64_t token) const {
  const auto id = static_cast<std::size_t>(token);
  return id < masking_.word_parts.size() ? masking_.word_parts[id] : WordPart::apart;
}

// A word is chosen by its first position, so that all of it is.
template <class Visit>
void Masker::visit(std::int64_t cursor, std::int64_t first, std::span<const std::int64_t> tokens, Visit visit) const {
  bool chosen = false, goes_on = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const WordPart now = masking_.word_parts.empty() ? WordPart::apart : part(tokens[i]);
    const std::int64_t position = first + static_cast<std::int64_t>(i);
    if (!goes_on || now != WordPart::goes_on) chosen = uniform(random(seed_, kChosen, cursor, position)) < masking_.share;
    goes_on = now != WordPart::apart;
    visit(i, position, chosen);
  }
}

std::int64_t Masker::seen(std::int64_t cursor, std::int64_t position, std::int64_t token) const {
  const double fate = uniform(random(seed_, kFate, cursor, position));
  if (fate < 0.8) return masking_.mask_id;
  if (fate >= 0.9) return token;
  return static_cast<std::int64_t>(random(seed_, kRandomToken, cursor, position) % static_cast<std::uint64_t>(masking_.vocab));
}

void Masker::hide(std::int64_t cursor, std::int64_t first, std::span<std::int64_t> tokens) const {
  const std::vector<std::int64_t> whole(tokens.begin(), tokens.end());
  visit(cursor, first, whole, [&](std::size_t i, std::int64_t position, bool chosen) {
    if (chosen) tokens[i] = seen(cursor, position, whole[i]);
  });
}

void Masker::ask(std::int64_t cursor, std::int64_t first, std::span<std::int64_t> tokens) const {
  const std::vector<std::int64_t> whole(tokens.begin(), tokens.end());
  visit(cursor, first, whole, [&](std::size_t i, std::int64_t, bool chosen) {
    if (!chosen) tokens[i] = -1;
  });
}

std::int64_t Masker::count(std::int64_t cursor, std::int64_t first, std::span<const std::int64_t> tokens) const {
  std::int64_t count = 0;
  visit(cursor, first, tokens, [&](std::size_t, std::int64_t, bool chosen) { count += chosen; });
  return count;
}

}  // namespace trellis::data
