// What tokenizers need to know of Unicode. The answers are those of the public package `tokenizers`, code point by code
// point: its parts follow different versions of Unicode, and a library of another version would cut text elsewhere. The
// tables are made from it by tests/tokenizers/unicode_tables.py. All text here is valid UTF-8. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "trellis/plan/export.h"

namespace trellis::data {

// General categories, in the order of the tables.
enum class Category : std::uint8_t {
  none, Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Co
};
TRELLIS_API Category category(char32_t c);
constexpr std::uint32_t bit(Category c) { return std::uint32_t{1} << static_cast<int>(c); }
// The bits of a category ("Lu") or of a group of them ("L"); nothing where there is none of that name.
TRELLIS_API std::optional<std::uint32_t> category_bits(std::string_view name);

TRELLIS_API bool is_space(char32_t c);        // White_Space
TRELLIS_API bool is_other(char32_t c);        // what BERT's cleaning drops: control, format, private use
TRELLIS_API bool is_punctuation(char32_t c);  // BERT's: also all of ASCII that is neither letter nor digit nor space
TRELLIS_API bool is_accent(char32_t c);       // marks that BERT strips
TRELLIS_API bool is_numeric(char32_t c);
TRELLIS_API bool is_ideograph(char32_t c);    // that BERT takes for a word of its own

TRELLIS_API std::string lower(std::string_view text);  // letter by letter, whatever stands around it
TRELLIS_API std::string nfd(std::string_view text);
TRELLIS_API std::string nfc(std::string_view text);

// The bytes of the character that begins with this one.
constexpr std::size_t length_of(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
// The character at `text`, which is not empty.
constexpr char32_t decode(const char* text) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return lead;
  if (lead < 0xE0) return (lead & 0x1F) << 6 | (byte(1) & 0x3F);
  if (lead < 0xF0) return (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}
TRELLIS_API void append(std::string& text, char32_t c);

}  // namespace trellis::data
