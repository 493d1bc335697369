// Text as sentences of documents: what pairs are made of.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/samples/token_reader.h"
#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

// Sentences follow one another in the row of tokens; each has one or more. Immutable.
struct TRELLIS_API Sentences {
  TokenReaderPointer tokens;
  std::vector<std::int64_t> ends;       // of each sentence in `tokens`
  std::vector<std::int64_t> documents;  // one past the last sentence of each
  double weight = 1;
  std::string name;  // of the first file, for errors
  std::size_t files = 0;

  std::int64_t size() const { return static_cast<std::int64_t>(ends.size()); }
  std::int64_t begin(std::int64_t sentence) const { return sentence == 0 ? 0 : ends[static_cast<std::size_t>(sentence) - 1]; }
  std::int64_t document_of(std::int64_t sentence) const;

  // The last `share` of the sentences, and those before; a border within a document cuts it in two.
  std::pair<Sentences, Sentences> split(double share) const;
};

// Of each part of the data its sentences. Text: a line is a sentence, and an empty line or the end of a file ends a
// document. Indexed files: sequences are sentences. Error at the place of a part that has not one.
TRELLIS_API std::vector<Sentences> read_sentences(const DataSection& section, const Tokenizer& tokenizer);

}  // namespace trellis::data
