// Canonical decomposition and composition (Unicode Standard, section 3.11), by the package's tables.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "data/unicode/lookup.h"
#include "data/unicode/unicode.h"

namespace trellis::data {
namespace {

using Characters = std::vector<char32_t>;

// Hangul syllables are computed: 19 leading x 21 vowels x 28 trailing, the first of which is none.
constexpr char32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kNumLeading = 19, kNumVowels = 21, kNumTrailing = 28;
constexpr char32_t kNumSyllables = kNumLeading * kNumVowels * kNumTrailing;

struct Pair {
  char32_t first, second;  // second 0: another spelling of one character
};

struct Canonical {
  std::unordered_map<char32_t, Pair> parts;
  std::unordered_map<std::uint64_t, char32_t> composed;
  CodePointMap classes{tables::kCombiningClasses, 256};

  Canonical() {
    const std::span<const std::uint32_t> rows = tables::kDecompositions;
    for (std::size_t i = 0; i < rows.size(); i += 3) {
      parts[rows[i] / 2] = {rows[i + 1], rows[i + 2]};
      if (rows[i] % 2 != 0) composed[key(rows[i + 1], rows[i + 2])] = rows[i] / 2;
    }
  }
  static std::uint64_t key(char32_t a, char32_t b) { return std::uint64_t{a} << 32 | b; }
};

const Canonical& canonical() {
  static const Canonical tables;
  return tables;
}

void decompose(char32_t c, Characters& out) {
  if (c < 0xC0) {
    out.push_back(c);
  } else if (c - kSyllables < kNumSyllables) {
    const char32_t index = c - kSyllables, trailing = index % kNumTrailing;
    out.push_back(kLeading + index / (kNumVowels * kNumTrailing));
    out.push_back(kVowels + index / kNumTrailing % kNumVowels);
    if (trailing != 0) out.push_back(kTrailing + trailing);
  } else if (const auto found = canonical().parts.find(c); found != canonical().parts.end()) {
    decompose(found->second.first, out);
    if (found->second.second != 0) out.push_back(found->second.second);
  } else {
    out.push_back(c);
  }
}

// Marks behind a letter by their classes, those of one class in the order in which they came.
void order_marks(Characters& text) {
  const CodePointMap& classes = canonical().classes;
  for (auto at = text.begin(); at != text.end();) {
    if (classes[*at] == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, text.end(), [&](char32_t c) { return classes[c] == 0; });
    std::stable_sort(at, end, [&](char32_t a, char32_t b) { return classes[a] < classes[b]; });
    at = end;
  }
}

char32_t compose(char32_t a, char32_t b) {
  if (a - kLeading < kNumLeading && b - kVowels < kNumVowels)
    return kSyllables + ((a - kLeading) * kNumVowels + (b - kVowels)) * kNumTrailing;
  const bool open = a - kSyllables < kNumSyllables && (a - kSyllables) % kNumTrailing == 0;
  if (open && b > kTrailing && b < kTrailing + kNumTrailing) return a + (b - kTrailing);
  const auto found = canonical().composed.find(Canonical::key(a, b));
  return found == canonical().composed.end() ? 0 : found->second;
}

void compose_all(Characters& text) {
  const CodePointMap& classes = canonical().classes;
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t starter = kNone, kept = 0;
  int last = 0;  // class of the character before, behind the starter
  for (const char32_t c : text) {
    const int own = classes[c];
    const bool adjacent = starter != kNone && starter + 1 == kept;
    if (starter != kNone && (adjacent || last < own))
      if (const char32_t whole = compose(text[starter], c); whole != 0) {
        text[starter] = whole;
        continue;
      }
    if (own == 0) starter = kept;
    last = own;
    text[kept++] = c;
  }
  text.resize(kept);
}

Characters decomposed(std::string_view text) {
  Characters result;
  result.reserve(text.size());
  for (const char *at = text.data(), *end = at + text.size(); at < end; at += length_of(*at))
    decompose(decode(at), result);
  order_marks(result);
  return result;
}

std::string encoded(const Characters& text) {
  std::string result;
  result.reserve(text.size());
  for (const char32_t c : text) append(result, c);
  return result;
}

// No character below U+0300 (its lead byte 0xCC) composes with what is before it or has another spelling in NFC.
bool is_plain(std::string_view text, unsigned char below) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return static_cast<unsigned char>(c) < below; });
}

}  // namespace

std::string nfd(std::string_view text) {
  return is_plain(text, 0x80) ? std::string(text) : encoded(decomposed(text));
}

std::string nfc(std::string_view text) {
  if (is_plain(text, 0xCC)) return std::string(text);
  Characters characters = decomposed(text);
  compose_all(characters);
  return encoded(characters);
}

}  // namespace trellis::data
