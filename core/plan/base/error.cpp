#include "trellis/plan/error.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace trellis {
namespace {

std::string compose(const std::string& message, const std::string& hint, const Mark& mark) {
  std::string text = mark.file.empty() ? message : format(mark) + ": " + message;
  if (!hint.empty()) text += "\n    " + hint;
  return text;
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Levenshtein with swapped neighbors as one edit, which is the commonest typing mistake.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = previous[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
      current[j] = std::min({replaced, previous[j] + 1, current[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

}  // namespace

std::string format(const Mark& mark) {
  if (mark.line <= 0) return mark.file;
  if (mark.column <= 0) return fmt::format("{}:{}", mark.file, mark.line);
  return fmt::format("{}:{}:{}", mark.file, mark.line, mark.column);
}

Error::Error(ExitCode code, std::string message, std::string hint, Mark mark)
    : std::runtime_error(compose(message, hint, mark)),
      code_(code),
      message_(std::move(message)),
      hint_(std::move(hint)),
      mark_(std::move(mark)) {}

Error::~Error() = default;

std::string suggest(std::string_view wrong, std::span<const std::string> candidates) {
  // A third of the letters may be wrong, one in a short word, three in a long one: beyond that it is another word.
  std::size_t allowed = std::clamp<std::size_t>(wrong.size() / 3, 1, 3);
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const auto [shorter, longer] = std::minmax({candidate.size(), wrong.size()});
    if (longer - shorter > allowed) continue;
    const std::size_t distance = edit_distance(wrong, candidate);
    const bool is_nearer = distance < allowed || (distance == allowed && nearest.empty());
    if (!is_nearer || distance >= candidate.size()) continue;
    nearest = candidate;
    allowed = distance;
  }
  return nearest;
}

std::string suggestion_hint(std::string_view wrong, std::span<const std::string> candidates, std::string_view label) {
  const std::string nearest = suggest(wrong, candidates);
  if (!nearest.empty()) return fmt::format("did you mean '{}'?", nearest);
  if (candidates.empty()) return {};
  return fmt::format("{}: {}", label, fmt::join(candidates, ", "));
}

}  // namespace trellis
