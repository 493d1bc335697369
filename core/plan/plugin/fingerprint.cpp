#include <fmt/format.h>

#include <string>
#include <vector>

#include "plan/plugin/library.h"

namespace trellis::plugin {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (c == '_') words.emplace_back();
    else words.back() += c;
  }
  return words;
}

struct Part {
  std::string name, value;
};

// trellis_abi_<abi>_<compiler>_<major>_<minor>_<C++ ABI>_<library>_<sanitizer>_[torch_<version>_]<hash>, the run side's
// with trellis_run_abi_. Empty when it is not of this form.
std::vector<Part> parts(const std::string& fingerprint) {
  std::vector<std::string> words = split(fingerprint);
  const bool is_run = words.size() > 1 && words[1] == "run";
  if (is_run) words.erase(words.begin() + 1);
  if (words.size() < 10 || words[0] != "trellis" || words[1] != "abi") return {};
  std::vector<Part> result = {{"side", is_run ? "run" : "plan"},
                              {"plugin ABI", words[2]},
                              {"compiler", fmt::format("{} {}.{}", words[3], words[4], words[5])},
                              {"C++ ABI", words[6]},
                              {"standard library", words[7]},
                              {"sanitizer", words[8]}};
  if (words.size() > 10) {
    const std::vector<std::string> version(words.begin() + 10, words.end() - 1);
    result.push_back({words[9], fmt::format("{}", fmt::join(version, "."))});
  }
  result.push_back({"SDK headers", words.back()});
  return result;
}

}  // namespace

std::string fingerprint_difference(const std::string& found, const std::string& expected) {
  const std::vector<Part> ours = parts(expected), theirs = parts(found);
  if (ours.size() != theirs.size()) return fmt::format("fingerprint {} (expected {})", found, expected);
  std::vector<std::string> differences;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].value != theirs[i].value)
      differences.push_back(fmt::format("{} {} (expected {})", ours[i].name, theirs[i].value, ours[i].value));
  }
  return fmt::format("{}", fmt::join(differences, ", "));
}

}  // namespace trellis::plugin
