#include "plan/base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// Bytes of the character that starts the text, 0 when it is not one: RFC 3629, without overlong forms and surrogates.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(byte(i))) return 0;
  const bool is_overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool is_surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool is_beyond = lead == 0xF4 && byte(1) >= 0x90;
  return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

}  // namespace

void check_text(std::string_view text, const std::string& name) {
  Mark mark = {name, 1, 1};
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    const std::size_t length = character_length(text);
    if (length == 0)
      throw Error(ExitCode::bad_input, fmt::format("this is not UTF-8 text: byte 0x{:02X}", byte), {}, mark);
    const bool is_control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
    if (is_control) fail(mark, "this is not text: control character 0x{:02X}", byte);
    text.remove_prefix(length);
    ++mark.column;
    if (byte != '\n') continue;
    ++mark.line;
    mark.column = 1;
  }
}

std::size_t valid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const std::size_t length = character_length(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string shortened(std::string_view text, std::size_t length) {
  std::string result(text);
  if (text.size() > length) {
    while (length > 0 && is_continuation(static_cast<unsigned char>(text[length]))) --length;
    result = std::string(text.substr(0, length)) + "...";
  }
  std::replace(result.begin(), result.end(), '\n', ' ');
  return result;
}

}  // namespace trellis
