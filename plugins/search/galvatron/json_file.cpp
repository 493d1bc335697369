#include "json_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::galvatron {
namespace {

// Of any measurement, whether in ms (17 minutes), MB (1 TB) or GB/s: beyond are mistakes, and fits that lose their digits.
constexpr double kMost = 1e6, kLeast = 1e-6;
constexpr const char* kAgain = "measure it again; times are in ms, sizes in MB, bandwidths in GB/s";

Mark mark_at(const std::string& text, const std::string& name, std::size_t byte) {
  const std::size_t end = std::min(byte, text.size());
  const std::size_t line_start = end == 0 ? 0 : text.rfind('\n', end - 1) + 1;  // npos + 1 is 0
  return {name, static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n')) + 1,
          static_cast<int>(end - std::min(end, line_start)) + 1};
}

}  // namespace

JsonFile JsonFile::read(const std::filesystem::path& path) { return parse(read_file(path), path.string()); }

JsonFile JsonFile::parse(const std::string& text, std::string name) {
  Json root;
  try {
    root = Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t byte = error.byte == 0 ? 0 : error.byte - 1;
    const bool ended = byte >= text.size();
    std::string hint = ended ? "the file is cut short: copy it again"
                             : "NaN and Infinity are no JSON: a measurement that failed has to be made again";
    const std::string around = text.substr(byte > 4 ? byte - 4 : 0, 12);
    if (!ended && around.find("NaN") == std::string::npos && around.find("nfinity") == std::string::npos)
      hint = "expected a JSON file of the reference's profiler or planner";
    throw Error(ExitCode::bad_input, ended ? "not JSON: it ends in the middle" : "not JSON", hint,
                mark_at(text, name, byte));
  } catch (const nlohmann::json::exception& error) {  // a number out of range
    throw Error(ExitCode::bad_input, fmt::format("not JSON: {}", error.what()), {}, {name});
  }
  if (!root.is_object()) throw Error(ExitCode::bad_input, "expected an object at the top", {}, {name});
  return {std::move(root), std::move(name)};
}

void JsonFile::reject(const std::vector<std::string>& path, std::string_view what, std::string hint) const {
  throw Error(ExitCode::bad_input, fmt::format("{}: {}", fmt::join(path, "."), what), std::move(hint), {name_});
}

const Json& JsonFile::at(const std::vector<std::string>& path) const {
  const Json* value = &root_;
  std::vector<std::string> walked;
  for (const std::string& key : path) {
    if (!value->is_object()) reject(walked, "expected an object");
    walked.push_back(key);
    const auto found = value->find(key);
    if (found == value->end()) {
      std::vector<std::string> there;
      for (const auto& [name, unused] : value->items()) there.push_back(name);
      if (there.size() > 12) there.resize(12), there.push_back("...");
      reject(walked, "required, and not there", fmt::format("found here: {}", fmt::join(there, ", ")));
    }
    value = &*found;
  }
  return *value;
}

double JsonFile::number(const Json& value, const std::vector<std::string>& path) const {
  if (!value.is_number()) reject(path, fmt::format("expected a number, found {}", value.dump()));
  const double number = value.get<double>();
  if (!std::isfinite(number)) reject(path, fmt::format("expected a finite number, found {}", number));
  if (number > kMost) reject(path, fmt::format("expected at most {}, found {}", kMost, number), kAgain);
  return number;
}

double JsonFile::positive(const Json& value, const std::vector<std::string>& path) const {
  const double found = number(value, path);
  if (found <= 0) reject(path, fmt::format("expected more than 0, found {}", found), "measure it again");
  if (found < kLeast) reject(path, fmt::format("expected at least {}, found {}", kLeast, found), kAgain);
  return found;
}

double JsonFile::not_negative(const Json& value, const std::vector<std::string>& path) const {
  const double found = number(value, path);
  if (found < 0) reject(path, fmt::format("expected 0 or more, found {}", found), "measure it again");
  return found;
}

double JsonFile::positive(const std::vector<std::string>& path) const { return positive(at(path), path); }
double JsonFile::not_negative(const std::vector<std::string>& path) const { return not_negative(at(path), path); }

std::int64_t number_after(std::string_view key, std::string_view prefix) {
  const std::size_t found = prefix.empty() ? 0 : key.rfind(prefix);
  if (found == std::string_view::npos) return -1;
  const char* begin = key.data() + found + prefix.size();
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(begin, key.data() + key.size(), value);
  return error == std::errc() && end != begin && value >= 0 ? value : -1;
}

}  // namespace trellis::galvatron
