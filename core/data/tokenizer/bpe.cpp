#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "data/tokenizer/models.h"
#include "data/unicode/unicode.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

constexpr std::size_t kShort = 48;  // letters; up to here looking at all pairs is faster than a heap
constexpr std::uint32_t kNever = static_cast<std::uint32_t>(-1);

// Bytes that show are their own letters; the others have those from U+0100 on, in order.
bool shows(int byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174; }

std::array<int, 512> make_alphabet() {
  std::array<int, 512> bytes{};
  bytes.fill(-1);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) bytes[static_cast<std::size_t>(shows(byte) ? byte : next++)] = byte;
  return bytes;
}

// UTF-8 has none of these.
bool is_never_text(int byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

std::uint64_t key(TokenId a, TokenId b) {
  return std::uint64_t{static_cast<std::uint32_t>(a)} << 32 | static_cast<std::uint32_t>(b);
}

}  // namespace

std::string bytes_of_letters(std::string_view token) {
  static const std::array<int, 512> alphabet = make_alphabet();
  std::string bytes;
  for (const char *at = token.data(), *end = at + token.size(); at < end; at += length_of(*at)) {
    const char32_t letter = decode(at);
    if (letter >= alphabet.size() || alphabet[letter] < 0) return {};
    bytes += static_cast<char>(alphabet[letter]);
  }
  return bytes;
}

ByteLevelBpe::ByteLevelBpe(const Vocabulary& written, const std::vector<std::pair<std::string, std::string>>& merges,
                           bool whole_words_first)
    : whole_words_first_(whole_words_first) {
  for (const auto& [token, id] : written) {
    highest_ = std::max(highest_, id);
    if (std::string bytes = bytes_of_letters(token); !bytes.empty()) by_bytes_.emplace(std::move(bytes), id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const auto found = by_bytes_.find(std::string_view(&c, 1));
    if (found == by_bytes_.end() && !is_never_text(byte))
      fail("the vocabulary has no token for byte 0x{:02X}: text with it would be lost", byte);
    byte_tokens_[static_cast<std::size_t>(byte)] = found == by_bytes_.end() ? 0 : found->second;
  }
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [a, b] = merges[rank];
    const auto first = written.find(a), second = written.find(b), both = written.find(a + b);
    for (const auto& [found, name] : {std::pair{first, a}, {second, b}, {both, a + b}})
      if (found == written.end())
        fail("merge {}, '{} {}', needs token '{}', which is not in the vocabulary", rank + 1, a, b, name);
    merges_[key(first->second, second->second)] = {static_cast<std::uint32_t>(rank), both->second};
  }
}

const TokenId* ByteLevelBpe::find(std::string_view token) const {
  const auto found = by_bytes_.find(bytes_of_letters(token));
  return found == by_bytes_.end() ? nullptr : &found->second;
}

void ByteLevelBpe::mark_words(std::vector<WordPart>& parts) const {
  for (const auto& [bytes, id] : by_bytes_)
    parts[static_cast<std::size_t>(id)] = bytes.find_first_not_of(kWhiteSpace) == std::string::npos ? WordPart::apart
                                          : kWhiteSpace.find(bytes[0]) != std::string_view::npos   ? WordPart::begins
                                                                                                    : WordPart::goes_on;
}

const ByteLevelBpe::Merge* ByteLevelBpe::merge(TokenId a, TokenId b) const {
  const auto found = merges_.find(key(a, b));
  return found == merges_.end() ? nullptr : &found->second;
}

void ByteLevelBpe::encode(std::string_view word, std::vector<TokenId>& out) const {
  if (whole_words_first_)
    if (const auto whole = by_bytes_.find(word); whole != by_bytes_.end()) return out.push_back(whole->second);
  std::vector<TokenId> tokens;
  tokens.reserve(word.size());
  for (const char c : word) tokens.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
  if (tokens.size() <= kShort) join_short(tokens);
  else join_long(tokens);
  out.insert(out.end(), tokens.begin(), tokens.end());
}

void ByteLevelBpe::join_short(std::vector<TokenId>& tokens) const {
  std::array<Merge, kShort> next{};  // of token i and the one behind it
  const auto look = [&](std::size_t i) {
    const Merge* found = i + 1 < tokens.size() ? merge(tokens[i], tokens[i + 1]) : nullptr;
    next[i] = found ? *found : Merge{kNever, 0};
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) look(i);
  while (tokens.size() > 1) {
    const auto end = next.begin() + static_cast<std::ptrdiff_t>(tokens.size());
    const auto best = std::min_element(next.begin(), end, [](auto& a, auto& b) { return a.rank < b.rank; });
    if (best->rank == kNever) return;
    const auto i = static_cast<std::size_t>(best - next.begin());
    tokens[i] = best->token;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    std::copy(best + 2, end, best + 1);
    look(i);
    if (i > 0) look(i - 1);
  }
}

// The same with a heap and a list, for words of any length: n log n.
void ByteLevelBpe::join_long(std::vector<TokenId>& tokens) const {
  struct Place {
    int before, behind;
  };
  struct Pair {
    std::uint32_t rank;
    int at;
    TokenId first, second, joined;
    bool operator<(const Pair& other) const { return std::pair(rank, at) > std::pair(other.rank, other.at); }
  };
  const int size = static_cast<int>(tokens.size());
  const auto token = [&](int i) -> TokenId& { return tokens[static_cast<std::size_t>(i)]; };
  std::vector<Place> places;
  for (int i = 0; i < size; ++i) places.push_back({i - 1, i + 1 < size ? i + 1 : -1});
  const auto place = [&](int i) -> Place& { return places[static_cast<std::size_t>(i)]; };
  std::priority_queue<Pair> pairs;
  const auto look = [&](int i) {
    if (i < 0 || place(i).behind < 0) return;
    if (const Merge* found = merge(token(i), token(place(i).behind)))
      pairs.push({found->rank, i, token(i), token(place(i).behind), found->token});
  };
  for (int i = 0; i < size; ++i) look(i);
  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    const int behind = place(pair.at).behind;
    if (behind < 0 || token(pair.at) != pair.first || token(behind) != pair.second) continue;  // joined meanwhile
    token(pair.at) = pair.joined;
    token(behind) = -1;
    place(pair.at).behind = place(behind).behind;
    if (place(behind).behind >= 0) place(place(behind).behind).before = pair.at;
    look(pair.at);
    look(place(pair.at).before);
  }
  std::erase(tokens, -1);
}

}  // namespace trellis::data
