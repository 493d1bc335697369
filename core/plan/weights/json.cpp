#include "plan/weights/json.h"

#include <algorithm>
#include <set>
#include <vector>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

constexpr std::size_t kMaxDepth = 64;  // values are destroyed and written recursively

Mark mark_at(std::string_view text, const std::string& name, std::size_t byte) {
  const std::size_t end = std::min(byte, text.size());
  const std::size_t line_start = text.substr(0, end).rfind('\n') + 1;  // npos + 1 is 0
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n') + 1;
  return {name, static_cast<int>(line), static_cast<int>(end - line_start) + 1};
}

// Refuses as the text is read what the value would no longer show.
template <class Value>
class Watch {
 public:
  explicit Watch(const std::string& name) : name_(name) {}

  bool operator()(int, typename Value::parse_event_t event, Value& value) {
    using Event = typename Value::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (keys_.size() == kMaxDepth)
        throw Error(ExitCode::bad_input, fmt::format("JSON is nested deeper than {} levels", kMaxDepth), {}, {name_});
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.template get_ref<const std::string&>();
      if (!keys_.back().insert(key).second)
        throw Error(ExitCode::bad_input, fmt::format("the key '{}' is written twice", key), {}, {name_});
    }
    return true;
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;  // of the open objects; arrays have none
};

template <class Value>
Value parse(std::string_view text, const std::string& name) {
  try {
    return Value::parse(text.begin(), text.end(), Watch<Value>(name));
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t byte = error.byte == 0 ? 0 : error.byte - 1;
    throw Error(ExitCode::bad_input, byte >= text.size() ? "not JSON: it ends in the middle" : "not JSON", {},
                mark_at(text, name, byte));
  } catch (const nlohmann::json::exception& error) {  // a number out of range
    throw Error(ExitCode::bad_input, fmt::format("not JSON: {}", error.what()), {}, {name});
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& name) { return parse<Json>(text, name); }

nlohmann::json parse_large_json(std::string_view text, const std::string& name) {
  return parse<nlohmann::json>(text, name);
}

}  // namespace trellis
