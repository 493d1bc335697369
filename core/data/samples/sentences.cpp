#include "data/samples/sentences.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/indexed/indexed.h"
#include "plan/run/text_files.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

// The error of a file, at the part of the data that names it.
template <class Act>
void at_part(const DataPart& part, Act act) {
  try {
    act();
  } catch (const Error& error) {
    const std::string where = error.mark().file.empty() ? "" : format(error.mark()) + ": ";
    throw Error(error.code(), fmt::format("data.files: {}{}", where, error.message()), error.hint(), part.mark);
  }
}

void end_document(Sentences& s) {
  if (s.size() > (s.documents.empty() ? 0 : s.documents.back())) s.documents.push_back(s.size());
}

void read_lines(std::string_view text, const std::string& name, Encoder& encoder, std::vector<TokenId>& tokens, Sentences& s) {
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size()), before = tokens.size();
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at = end + 1, ++number;
    if (line.find_first_not_of(" \t") == std::string_view::npos) {
      end_document(s);
      continue;
    }
    try {
      encoder.encode(line, name, tokens);
    } catch (const Error& error) {
      throw Error(error.code(), error.message(), error.hint(), {name, number, std::max(error.mark().column, 1)});
    }
    if (tokens.size() > before) s.ends.push_back(static_cast<std::int64_t>(tokens.size()));
  }
  end_document(s);
}

Sentences of_text(const DataPart& part, const Tokenizer& tokenizer) {
  const std::vector<std::filesystem::path> files = find_files(part.files, part.mark);
  Sentences s{.weight = part.weight, .name = files.front().string(), .files = files.size()};
  const auto encoder = tokenizer.encoder();
  std::vector<TokenId> tokens;
  for (const std::filesystem::path& file : files)
    at_part(part, [&] { read_lines(read_file(file), file.string(), *encoder, tokens, s); });
  s.tokens = in_memory(std::move(tokens));
  return s;
}

void add_file(const IndexedFile& file, std::int64_t& end, Sentences& s) {
  for (std::int64_t document = 0; document < file.documents(); ++document) {
    for (std::int64_t i = file.first_sequence(document); i < file.first_sequence(document + 1); ++i) {
      if (file.length(i) > 0) s.ends.push_back(end + file.length(i));
      end += file.length(i);
    }
    end_document(s);
  }
}

Sentences of_indexed(const DataPart& part) {
  Sentences s{.weight = part.weight, .name = part.files.front(), .files = part.files.size()};
  std::vector<TokenReaderPointer> rows;
  std::int64_t end = 0;
  for (const std::string& name : part.files)
    at_part(part, [&] {
      const auto file = std::make_shared<const IndexedFile>(name);
      rows.push_back(of_file(file));
      add_file(*file, end, s);
    });
  s.tokens = joined(std::move(rows));
  return s;
}

// Sentences [first, last) as a text of their own.
Sentences slice(const Sentences& s, std::int64_t first, std::int64_t last) {
  const std::int64_t begin = s.begin(first);
  Sentences result{.tokens = part_of(s.tokens, begin, s.begin(last)), .weight = s.weight, .name = s.name, .files = s.files};
  for (std::int64_t i = first; i < last; ++i) result.ends.push_back(s.ends[static_cast<std::size_t>(i)] - begin);
  for (const std::int64_t document : s.documents)
    if (document > first) result.documents.push_back(std::min(document, last) - first);
  while (result.documents.size() > 1 && result.documents.end()[-2] == last - first) result.documents.pop_back();
  return result;
}

}  // namespace

std::int64_t Sentences::document_of(std::int64_t sentence) const {
  return std::ranges::upper_bound(documents, sentence) - documents.begin();
}

std::pair<Sentences, Sentences> Sentences::split(double share) const {
  const std::int64_t border = size() - static_cast<std::int64_t>(static_cast<double>(size()) * share);
  return {slice(*this, 0, border), slice(*this, border, size())};
}

std::vector<Sentences> read_sentences(const DataSection& section, const Tokenizer& tokenizer) {
  std::vector<Sentences> result;
  for (const DataPart& part : section.parts()) {
    if (section.is_indexed() && part.files.empty()) fail(part.mark, "data.files: no file is named");
    result.push_back(section.is_indexed() ? of_indexed(part) : of_text(part, tokenizer));
    if (result.back().size() == 0) fail(part.mark, "data.files: no sentence in '{}'", result.back().name);
  }
  return result;
}

}  // namespace trellis::data
