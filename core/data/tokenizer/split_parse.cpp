#include <fmt/format.h>

#include <charconv>

#include "data/tokenizer/split_expression.h"
#include "data/unicode/unicode.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

constexpr std::uint32_t kEndless = static_cast<std::uint32_t>(-1);
constexpr std::uint32_t kMostRepeats = 1000;
constexpr int kMostNesting = 16;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Alternatives whole() {
    Alternatives result = alternatives(false, 0);
    if (!done()) refuse("a ')' without '('");
    if (matches_nothing(result)) refuse("a part that matches no character");
    return result;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ExitCode::unsupported,
                fmt::format("split expression '{}' has {} at character {}", text_, what, at_ + 1),
                "known: characters, [classes], \\p{general category}, \\s \\S \\d, ? * + {n,m} of one character, "
                "groups, (?i:..), "
                "(?=..), (?!..) and |");
  }

  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  char32_t take_character() {
    const char32_t c = decode(text_.data() + at_);
    at_ += length_of(text_[at_]);
    return c;
  }

  static bool matches_nothing(const Alternatives& a) {
    for (const std::vector<Item>& choice : a.choices) {
      bool nothing = true;
      for (const Item& item : choice) {
        const bool looks = item.kind == Item::Kind::ahead || item.kind == Item::Kind::not_ahead;
        const bool optional = item.least == 0 || (item.kind == Item::Kind::group && matches_nothing(*item.body));
        nothing = nothing && (looks || optional);
      }
      if (nothing) return true;
    }
    return false;
  }

  Alternatives alternatives(bool any_case, int depth) {
    if (depth > kMostNesting) refuse("groups nested deeper than anybody means");
    Alternatives result;
    do {
      std::vector<Item>& items = result.choices.emplace_back();
      while (!done() && peek() != '|' && peek() != ')') items.push_back(quantified(any_case, depth));
    } while (take("|"));
    return result;
  }

  Item quantified(bool any_case, int depth) {
    Item item = single(any_case, depth);
    if (take("?")) item.least = 0;
    else if (take("*")) item.least = 0, item.most = kEndless;
    else if (take("+")) item.most = kEndless;
    else if (peek() == '{') counts(item);
    else return item;
    if (peek() == '?' || peek() == '+' || peek() == '*' || peek() == '{') refuse("a quantifier of a quantifier");
    if (item.kind == Item::Kind::group && item.most != 1) refuse("a repeated group");
    if (item.kind == Item::Kind::ahead || item.kind == Item::Kind::not_ahead) refuse("a repeated look ahead");
    return item;
  }

  std::uint32_t number() {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc() || value > kMostRepeats) refuse("a count that is no small number");
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  void counts(Item& item) {
    take("{");
    item.least = item.most = number();
    if (take(",")) item.most = peek() == '}' ? kEndless : number();
    if (!take("}") || item.most < item.least || item.most == 0) refuse("counts that are not {n}, {n,} or {n,m}");
  }

  Item single(bool any_case, int depth) {
    Item item;
    if (take("(?:")) return group(Item::Kind::group, any_case, depth);
    if (take("(?i:")) return group(Item::Kind::group, true, depth);
    if (take("(?=")) return group(Item::Kind::ahead, any_case, depth);
    if (take("(?!")) return group(Item::Kind::not_ahead, any_case, depth);
    if (text_.substr(at_).starts_with("(?")) refuse("a group of an unknown kind");
    if (take("(")) return group(Item::Kind::group, any_case, depth);
    if (peek() == '[') {
      if (any_case) refuse("a class without regard to case");
      item.set = character_class();
      return item;
    }
    if (std::string_view("^$.").find(peek()) != std::string_view::npos) refuse(fmt::format("'{}'", peek()));
    if (std::string_view("?*+{}]").find(peek()) != std::string_view::npos)
      refuse(fmt::format("'{}' where a character is expected", peek()));
    if (peek() == '\\') {
      if (!named_set(item.set)) add_literal(item.set, escaped(), any_case);
    } else {
      add_literal(item.set, take_character(), any_case);
    }
    item.set.finish();
    return item;
  }

  Item group(Item::Kind kind, bool any_case, int depth) {
    Item item{.kind = kind};
    item.body = std::make_shared<const Alternatives>(alternatives(any_case, depth + 1));
    if (!take(")")) refuse("a group that does not end");
    return item;
  }

  void add_literal(CharacterSet& set, char32_t c, bool any_case) {
    set.ranges.emplace_back(c, c);
    if (!any_case) return;
    if (c >= 128) refuse("a character other than ASCII without regard to case");
    const char32_t small = c | 0x20;
    if (small < 'a' || small > 'z') return;
    set.ranges.emplace_back(c ^ 0x20, c ^ 0x20);
    if (small == 's') set.ranges.emplace_back(0x17F, 0x17F);  // long s
    if (small == 'k') set.ranges.emplace_back(0x212A, 0x212A);  // Kelvin
  }

  // \s \S \d \p{..} \P{..}: taken where it is one.
  bool named_set(CharacterSet& set) {
    const auto other = [&](auto fill) {
      CharacterSet inverse;
      fill(inverse);
      inverse.negated = true;
      inverse.finish();
      set.others.push_back(std::move(inverse));
    };
    if (take("\\s")) set.has_spaces = true;
    else if (take("\\S")) other([](CharacterSet& s) { s.has_spaces = true; });
    else if (take("\\d")) set.categories |= bit(Category::Nd);
    else if (take("\\p{")) set.categories |= property();
    else if (take("\\P{")) {
      const std::uint32_t bits = property();
      other([&](CharacterSet& s) { s.categories = bits; });
    } else return false;
    return true;
  }

  std::uint32_t property() {
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) refuse("a property that does not end");
    const std::string_view name = text_.substr(at_, end - at_);
    const auto bits = category_bits(name);
    if (!bits) refuse(fmt::format("the property '{}', which is no general category,", name));
    at_ = end + 1;
    return *bits;
  }

  char32_t escaped() {
    take("\\");
    if (done()) refuse("a '\\' at its end");
    for (const auto& [name, value] : {std::pair{"r", '\r'}, {"n", '\n'}, {"t", '\t'}, {"f", '\f'}, {"v", '\v'}})
      if (take(name)) return static_cast<char32_t>(value);
    if (take("u")) return hexadecimal(4);
    const char c = peek();
    const bool is_word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    if (is_word || static_cast<unsigned char>(c) >= 0x80) refuse(fmt::format("the escape '\\{}'", c));
    return take_character();
  }

  char32_t hexadecimal(std::size_t digits) {
    std::uint32_t value = 0;
    const std::string_view word = text_.substr(at_, digits);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, 16);
    const bool is_surrogate = value >= 0xD800 && value < 0xE000;
    if (word.size() != digits || error != std::errc() || end != word.data() + digits || is_surrogate)
      refuse("an escape '\\u' without the number of a character");
    at_ += digits;
    return value;
  }

  CharacterSet character_class() {
    take("[");
    CharacterSet set;
    set.negated = take("^");
    if (peek() == ']') refuse("an empty class");
    while (!take("]")) {
      if (done()) refuse("a class that does not end");
      if (peek() == '[') refuse("a class within a class");
      if (text_.substr(at_).starts_with("&&")) refuse("'&&' within a class");
      if (peek() == '\\' && named_set(set)) {
        if (peek() == '-' && !text_.substr(at_).starts_with("-]")) refuse("a range that begins with a set");
        continue;
      }
      const char32_t first = peek() == '\\' ? escaped() : take_character();
      char32_t last = first;
      if (peek() == '-' && !text_.substr(at_).starts_with("-]")) {
        take("-");
        CharacterSet unused;
        if (done() || peek() == '[' || (peek() == '\\' && named_set(unused))) refuse("a range without its end");
        last = peek() == '\\' ? escaped() : take_character();
        if (last < first) refuse("a range whose end is before its begin");
      }
      set.ranges.emplace_back(first, last);
    }
    set.finish();
    return set;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

SplitExpression::SplitExpression(std::string_view expression) : top_(Parser(expression).whole()) {}

SplitExpression SplitExpression::literal(std::string_view text) {
  if (text.empty()) throw Error(ExitCode::unsupported, "an empty text to split at");
  SplitExpression result;
  std::vector<Item>& items = result.top_.choices.emplace_back();
  for (const char *at = text.data(), *end = at + text.size(); at < end; at += length_of(*at)) {
    Item& item = items.emplace_back();
    item.set.ranges.emplace_back(decode(at), decode(at));
    item.set.finish();
  }
  return result;
}

}  // namespace trellis::data
