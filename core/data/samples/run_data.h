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
#include "trellis/plan/op.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

// Null where the run file names none. Error at its place: as open_tokenizer, or where it has more tokens than the
// model.
TRELLIS_API std::shared_ptr<const Tokenizer> tokenizer_of(const RunFile& run, const ModelSpec& model);

// Tokens that text itself does not have: of each the one that the run file names, or the tokenizer's own. Error where
// there is none, or where the model has no row for one that is added to the byte tokenizer.
TRELLIS_API TokenId mask_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer);
TRELLIS_API TokenId cls_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer);
TRELLIS_API TokenId sep_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer);
TRELLIS_API TokenId end_token(const DataSection& section, const Tokenizer& tokenizer);  // of documents
// What stands for the first span that is cut out, the second, ...: <extra_id_0>, <extra_id_1>, ..., or where the tokenizer
// has none so many numbers above its vocabulary as the run file says, from the highest down, as T5 numbers them.
TRELLIS_API std::vector<TokenId> sentinel_tokens(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer);

// How many labels of samples the model tells apart. Error where it reads none, or one at each token.
TRELLIS_API std::int64_t classes_of(const ModelSpec& model, const OpLibrary& ops);

// Before there are ranks: throws the Error of tokenizer_of and read_rows, as far as they can be known without reading
// all text, or of open_image_data. Labels of texts are read. Returns the names of classes by label, where the data has any.
TRELLIS_API std::vector<std::string> check_data(const RunFile& run, const ModelSpec& model, const OpLibrary& ops);

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
