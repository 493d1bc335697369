// Texts with a label each, from files: .tsv with a line of column names, .jsonl with an object a line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/error.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

struct LabelledTexts {
  std::vector<TokenId> tokens;       // of all texts, one after another
  std::vector<std::size_t> ends;     // of each text in `tokens`
  std::vector<std::int64_t> labels;  // of each text
  std::size_t files = 0;

  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
};

// What `files` name (find_files); labels are below `classes`. Error with file and line for a line that is not as the first
// one says, text that is not UTF-8 where it must be, and a label that is out of range or has no such name; at `mark` where
// there is not one text. Without a tokenizer all is checked but the text, and there are no tokens.
TRELLIS_API LabelledTexts read_labelled(const std::vector<std::string>& files, const Mark& mark, const DataSection& section,
                                        const Tokenizer* tokenizer, std::int64_t classes);

}  // namespace trellis::data
