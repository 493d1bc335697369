// The types an option may have: from a YAML value to each, with the place of what does not fit.
#include <charconv>
#include <cmath>
#include <limits>

#include "plan/base/options_state.h"
#include "trellis/plan/options.h"

namespace trellis {
namespace {

// A value and its dotted path.
struct Place {
  const yaml::Node& node;
  std::string path;

  [[noreturn]] void reject(std::string_view expected) const {
    throw Error(ExitCode::bad_input, fmt::format("{}: expected {}, found {}", path, expected, describe(node)),
                node.kind == yaml::Kind::nothing ? "leave the key out where its default is meant" : "", node.mark);
  }
  const std::string& text(std::string_view expected) const {
    if (node.kind != yaml::Kind::scalar) reject(expected);
    return node.text;
  }
};

template <class Number>
std::errc parse_whole(std::string_view text, Number& result) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc()) return error;
  return end == text.data() + text.size() ? std::errc() : std::errc::invalid_argument;
}

template <class Integer>
void read_integer(const Place& place, Integer& result) {
  const std::errc error = parse_whole(place.text("an integer"), result);
  if (error == std::errc::result_out_of_range) {
    using Limits = std::numeric_limits<Integer>;
    place.reject(fmt::format("an integer from {} to {}", Limits::min(), Limits::max()));
  }
  if (error != std::errc()) place.reject("an integer");
}

// The parsers of units know no places.
template <class Parser>
auto with_place(const Place& place, Parser parse, std::string_view expected) {
  const std::string& text = place.text(expected);
  try {
    return parse(text);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", place.path, error.message()), error.hint(), place.node.mark);
  }
}

void read_value(const Place& place, int& result) { read_integer(place, result); }
void read_value(const Place& place, std::int64_t& result) { read_integer(place, result); }

void read_value(const Place& place, bool& result) {
  static constexpr std::string_view kExpected = "true or false";
  const std::string& text = place.text(kExpected);
  for (const std::string_view yes : {"true", "on", "yes", "True", "On", "Yes", "TRUE", "ON", "YES"})
    if (text == yes) return static_cast<void>(result = true);
  for (const std::string_view no : {"false", "off", "no", "False", "Off", "No", "FALSE", "OFF", "NO"})
    if (text == no) return static_cast<void>(result = false);
  place.reject(kExpected);
}

void read_value(const Place& place, double& result) {
  const std::errc error = parse_whole(place.text("a number"), result);
  if (error == std::errc::result_out_of_range) place.reject("a number that fits a double");
  if (error != std::errc() || !std::isfinite(result)) place.reject("a number");
}

void read_value(const Place& place, std::string& result) { result = place.text("a text"); }

void read_value(const Place& place, Bytes& result) {
  result = with_place(place, parse_bytes, "a size such as '38GiB'");
}

void read_value(const Place& place, Picoseconds& result) {
  result = with_place(place, parse_time, "a time such as '1.7ms'");
}

// A single value counts as a list of one.
template <class T>
void read_value(const Place& place, std::vector<T>& result) {
  const auto append = [&](const Place& item) {
    T value{};
    read_value(item, value);
    result.push_back(std::move(value));
  };
  if (place.node.kind == yaml::Kind::scalar) return append(place);
  if (place.node.kind != yaml::Kind::list) place.reject("a list");
  for (const yaml::NodePtr& item : place.node.items) append({*item, fmt::format("{}[{}]", place.path, result.size())});
}

}  // namespace

template <OptionValue T>
std::optional<T> Options::find(std::string_view key) const {
  const yaml::Node* value = state_->read(key);
  if (!value) return std::nullopt;
  T result{};
  read_value(Place{*value, path(key)}, result);
  return result;
}

#define TRELLIS_INSTANTIATE(T)                                                                                \
  template TRELLIS_API std::optional<T> Options::find<T>(std::string_view) const;                             \
  template TRELLIS_API std::optional<std::vector<T>> Options::find<std::vector<T>>(std::string_view) const;   \
  template TRELLIS_API std::optional<std::vector<std::vector<T>>> Options::find<std::vector<std::vector<T>>>( \
      std::string_view) const;

TRELLIS_INSTANTIATE(bool)
TRELLIS_INSTANTIATE(int)
TRELLIS_INSTANTIATE(std::int64_t)
TRELLIS_INSTANTIATE(double)
TRELLIS_INSTANTIATE(std::string)
TRELLIS_INSTANTIATE(Bytes)
TRELLIS_INSTANTIATE(Picoseconds)
#undef TRELLIS_INSTANTIATE

}  // namespace trellis
