#include "data/tokenizer/added_tokens.h"

#include <algorithm>

#include "data/unicode/unicode.h"

namespace trellis::data {
namespace {

std::size_t space_before(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    std::size_t begin = at - 1;
    while (begin > limit && (text[begin] & 0xC0) == 0x80) --begin;
    if (!is_space(decode(text.data() + begin))) break;
    at = begin;
  }
  return at;
}

std::size_t space_behind(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(decode(text.data() + at))) at += length_of(text[at]);
  return at;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  const auto first = [](const AddedToken& t) { return static_cast<unsigned char>(t.content.front()); };
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const AddedToken& a, const AddedToken& b) {
    return first(a) != first(b) ? first(a) < first(b) : a.content.size() > b.content.size();
  });
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    auto& [begin, end] = by_first_[first(tokens_[i])];
    if (begin == end) begin = static_cast<int>(i);
    end = static_cast<int>(i) + 1;
  }
}

AddedTokens::Found AddedTokens::next(std::string_view whole, std::size_t done, std::size_t from) const {
  for (std::size_t at = from; at < whole.size(); ++at) {
    const auto [begin, end] = by_first_[static_cast<unsigned char>(whole[at])];
    for (int i = begin; i < end; ++i) {
      const AddedToken& token = tokens_[static_cast<std::size_t>(i)];
      if (!whole.substr(at).starts_with(token.content)) continue;
      Found found{&token, at, at + token.content.size(), at + token.content.size()};
      if (token.left_strip) found.begin = space_before(whole, at, done);
      if (token.right_strip) found.end = space_behind(whole, found.end);
      return found;
    }
  }
  return {};
}

}  // namespace trellis::data
