#include "run/data/token_stream.h"

#include <array>
#include <cmath>

#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

void append(Tokens& tokens, std::string_view document) {
  if (document.empty()) return;
  for (const char c : document) tokens.push_back(static_cast<unsigned char>(c));
  tokens.push_back(kEndOfDocument);
}

}  // namespace

Tokens tokenize(std::span<const std::string_view> documents) {
  Tokens tokens;
  for (const std::string_view document : documents) append(tokens, document);
  return tokens;
}

Tokens read_tokens(const std::vector<std::filesystem::path>& files, const Mark& mark) {
  Tokens tokens;
  for (const std::filesystem::path& file : files) {
    try {
      append(tokens, read_file(file));
    } catch (const Error& error) {
      throw Error(error.code(), "data.files: " + error.message(), error.hint(), mark);
    }
  }
  if (tokens.empty())
    throw Error(ExitCode::bad_input,
                fmt::format("data.files: no text in '{}'{}", files.front().string(),
                            files.size() == 1 ? "" : fmt::format(" and {} other files", files.size() - 1)),
                {}, mark);
  return tokens;
}

double unigram_entropy(std::span<const std::uint16_t> tokens) {
  std::array<std::int64_t, kByteVocab> counts{};
  for (const std::uint16_t token : tokens) ++counts.at(token);
  double entropy = 0;
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    const double p = static_cast<double>(count) / static_cast<double>(tokens.size());
    entropy -= p * std::log(p);
  }
  return entropy;
}

}  // namespace trellis::data
