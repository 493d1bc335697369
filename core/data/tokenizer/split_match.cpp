#include <fmt/format.h>

#include "data/tokenizer/split_expression.h"
#include "data/unicode/unicode.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

constexpr std::size_t npos = SplitExpression::npos;
constexpr std::int64_t kStepsOfMatch = 1'000'000, kStepsOfByte = 64;  // the known ones need a few steps a character

// What is still to be matched behind a list of items: the depth is that of the expression, not of the text.
struct Rest {
  const std::vector<Item>* items;
  std::size_t next;
  const Rest* then;
};

class Matcher {
 public:
  explicit Matcher(std::string_view text) : text_(text) {}

  std::size_t any(const Alternatives& alternatives, std::size_t at, const Rest* then) {
    for (const std::vector<Item>& choice : alternatives.choices) {
      const Rest rest{&choice, 0, then};
      if (const std::size_t end = all(&rest, at); end != npos) return end;
    }
    return npos;
  }

 private:
  std::size_t all(const Rest* rest, std::size_t at) {
    while (rest && rest->next == rest->items->size()) rest = rest->then;
    if (!rest) return at;
    if (++steps_ > limit_) give_up();
    const Item& item = (*rest->items)[rest->next];
    const Rest then{rest->items, rest->next + 1, rest->then};
    if (item.kind == Item::Kind::characters) return characters(item, at, then);
    if (item.kind == Item::Kind::group) {
      const std::size_t end = any(*item.body, at, &then);
      return end == npos && item.least == 0 ? all(&then, at) : end;
    }
    const bool found = any(*item.body, at, nullptr) != npos;
    return found == (item.kind == Item::Kind::ahead) ? all(&then, at) : npos;
  }

  // As many as there are; then one fewer each time that the rest does not follow.
  std::size_t characters(const Item& item, std::size_t at, const Rest& then) {
    std::uint32_t count = 0;
    std::size_t end = at;
    while (count < item.most && end < text_.size() && item.set.contains(decode(text_.data() + end))) {
      end += length_of(text_[end]);
      ++count;
    }
    steps_ += count;
    for (;; --count) {
      if (count < item.least) return npos;
      if (const std::size_t found = all(&then, end); found != npos) return found;
      if (count == 0) return npos;
      do --end;
      while ((text_[end] & 0xC0) == 0x80);
    }
  }

  [[noreturn]] void give_up() const {
    throw Error(ExitCode::bad_input, "the tokenizer's split expression needs too many steps for this text",
                "expressions with several repetitions of the same characters do");
  }

  std::string_view text_;
  std::int64_t steps_ = 0, limit_ = kStepsOfMatch + kStepsOfByte * static_cast<std::int64_t>(text_.size());
};

}  // namespace

bool CharacterSet::contains_wide(char32_t c) const {
  bool found = categories != 0 && (categories & bit(category(c)) & ~1U) != 0;
  for (std::size_t i = 0; !found && i < ranges.size(); ++i) found = c >= ranges[i].first && c <= ranges[i].second;
  found = found || (has_spaces && is_space(c));
  for (std::size_t i = 0; !found && i < others.size(); ++i) found = others[i].contains(c);
  return found != negated;
}

void CharacterSet::finish() {
  for (char32_t c = 0; c < 128; ++c)
    if (contains_wide(c)) ascii[c >> 6] |= std::uint64_t{1} << (c & 63);
}

std::size_t SplitExpression::match(std::string_view text, std::size_t begin) const {
  return Matcher(text).any(top_, begin, nullptr);
}

}  // namespace trellis::data
