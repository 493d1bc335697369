// Text files to indexed files, on many threads: the same bytes whatever their number.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "trellis/plan/export.h"

namespace trellis::data {

struct TokenizeJob {
  enum class Documents { files, lines, json_lines };

  std::vector<std::filesystem::path> files;
  Documents documents = Documents::files;  // what a document is
  std::string key = "text";                // of json_lines: the field that has the text
  std::shared_ptr<const Tokenizer> tokenizer;
  std::optional<TokenId> end;              // behind each document
  int threads = 1;
  std::filesystem::path prefix;            // of the files to write
};

struct TokenizeResult {
  std::int64_t documents = 0, empty = 0;  // empty ones are left out
  std::int64_t tokens = 0;                // with those that end documents
  std::int64_t bytes = 0;                 // read
};

// `progress` is called by this thread with the bytes that are done and all there are. Error as open, read and encode
// throw it, for the first document that has one, with its file and line; nothing is written then.
TRELLIS_API TokenizeResult tokenize_files(const TokenizeJob& job,
                                          const std::function<void(std::int64_t, std::int64_t)>& progress);

}  // namespace trellis::data
