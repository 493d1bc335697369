// The data of a run file: its tokenizer and its rows of tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/samples/token_reader.h"
#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/model.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

// Null where the run file names none. Error at its place: as open_tokenizer, or where it has more tokens than the
// model.
TRELLIS_API std::shared_ptr<const Tokenizer> tokenizer_of(const RunFile& run, const ModelSpec& model);

// What stands for masked tokens: the tokenizer's own, or of the byte tokenizer one more. Error where there is none.
TRELLIS_API TokenId mask_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer);

// Before there are ranks: throws the Error of tokenizer_of and read_rows, as far as they can be known without reading
// all text, or of open_image_data.
TRELLIS_API void check_data(const RunFile& run, const ModelSpec& model);

struct TokenRow {
  TokenReaderPointer tokens;
  double weight = 1;
  std::string name;  // of its first file, for errors
};

struct TokenRows {
  std::vector<TokenRow> rows;
  std::size_t files = 0;
  std::optional<TokenId> end_of_document;  // where it is known
};
// Of each part of the data its documents, one after another. Text is tokenized now; empty documents are left out.
TRELLIS_API TokenRows read_rows(const DataSection& section, const Tokenizer* tokenizer);

}  // namespace trellis::data
