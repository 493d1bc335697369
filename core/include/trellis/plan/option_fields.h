// The options of a model family, each named once: the same list of calls reads them with their checks and writes them
// back. Used by model families.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/options.h"

namespace trellis {

// Reading, a value that is not written is `otherwise`; one that cannot be is an Error with its place. Writing, the value
// is set and `otherwise` does not matter.
class TRELLIS_API OptionFields {
 public:
  static OptionFields reading(const Options& options) { return {&options, nullptr}; }
  static OptionFields writing(Options& options) { return {nullptr, &options}; }

  void size(std::string_view key, std::int64_t& value, std::int64_t otherwise);          // 1 or more
  void count(std::string_view key, std::int64_t& value, std::int64_t otherwise);         // 0 or more
  void index(std::string_view key, std::int64_t& value, std::int64_t most);               // 0 to most, or -1: none
  void positive(std::string_view key, double& value, double otherwise);                  // more than 0
  void probability(std::string_view key, double& value, double otherwise = 0);           // 0 or more, less than 1
  void flag(std::string_view key, bool& value, bool otherwise);
  void word(std::string_view key, std::string& value, const std::vector<std::string>& words, std::string otherwise);

 private:
  OptionFields(const Options* from, Options* to) : from_(from), to_(to) {}
  const Options* from_;
  Options* to_;
};

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

}  // namespace trellis
