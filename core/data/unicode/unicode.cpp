#include "data/unicode/unicode.h"

#include <array>
#include <span>
#include <vector>

#include "data/unicode/lookup.h"

namespace trellis::data {
namespace {

enum Flag : std::uint8_t { kSpace = 1, kOther = 2, kPunctuation = 4, kAccent = 8, kNumeric = 16, kIdeograph = 32 };

const CodePointMap& categories() {
  static const CodePointMap map(tables::kCategories, 32);
  return map;
}
const CodePointMap& flags() {
  static const CodePointMap map(tables::kFlags, 64);
  return map;
}

bool has(char32_t c, Flag flag) { return (flags()[c] & flag) != 0; }

constexpr std::array<std::string_view, 29> kNames = {"",   "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                                     "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                                     "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};

constexpr char32_t kDottedI = 0x130;  // the only letter whose small form is two characters

char32_t small_letter(char32_t c) {
  const std::span<const std::uint32_t> runs = tables::kLower;
  std::size_t low = 0, high = runs.size() / 4;  // the first run that ends at c or later
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (runs[middle * 4 + 1] < c) low = middle + 1;
    else high = middle;
  }
  if (low * 4 == runs.size() || c < runs[low * 4] || (c - runs[low * 4]) % runs[low * 4 + 2] != 0) return c;
  return c + runs[low * 4 + 3];
}

}  // namespace

Category category(char32_t c) { return static_cast<Category>(categories()[c]); }

std::optional<std::uint32_t> category_bits(std::string_view name) {
  std::uint32_t bits = 0;
  for (std::size_t i = 1; i < kNames.size(); ++i)
    if (kNames[i] == name || (name.size() == 1 && kNames[i][0] == name[0])) bits |= std::uint32_t{1} << i;
  if (bits == 0 || name == "C") return std::nullopt;  // C has the unassigned, too, which are not in the tables
  return bits;
}

bool is_space(char32_t c) { return has(c, kSpace); }
bool is_other(char32_t c) { return has(c, kOther); }
bool is_punctuation(char32_t c) { return has(c, kPunctuation); }
bool is_accent(char32_t c) { return has(c, kAccent); }
bool is_numeric(char32_t c) { return has(c, kNumeric); }
bool is_ideograph(char32_t c) { return has(c, kIdeograph); }

std::string lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char *at = text.data(), *end = at + text.size(); at < end; at += length_of(*at)) {
    const char32_t c = decode(at);
    if (c < 0x80) result += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
    else if (c == kDottedI) append(result, 'i'), append(result, 0x307);
    else append(result, small_letter(c));
  }
  return result;
}

void append(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) put(c);
  else if (c < 0x800) put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  else if (c < 0x10000) put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  else put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
}

}  // namespace trellis::data
