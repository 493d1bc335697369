// A tokenizer as tokenizer.json describes it: added tokens, normalizer, pre-tokenizer, model.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/models.h"
#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/pre_tokenizer.h"

namespace trellis::data {

struct PipelineParts {
  std::string kind;
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<CutStep> cuts;
  std::shared_ptr<const WordModel> model;
};
std::shared_ptr<const Tokenizer> make_pipeline(PipelineParts parts);

// The files; each throws Error with its place.
PipelineParts read_tokenizer_json(const std::filesystem::path& file);
PipelineParts read_gpt2_files(const std::filesystem::path& vocab_json, const std::filesystem::path& merges_txt);
PipelineParts read_wordpiece_file(const std::filesystem::path& vocab_txt);
bool is_of_sentencepiece(const std::filesystem::path& tokenizer_json);  // which its own library reads from *.model

std::shared_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& model);
std::shared_ptr<const Tokenizer> make_byte_tokenizer();

}  // namespace trellis::data
