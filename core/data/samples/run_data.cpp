#include "data/samples/run_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/images/image_data.h"
#include "data/placed.h"
#include "data/samples/labelled.h"
#include "data/samples/suits.h"
#include "plan/run/text_files.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

// A token that the run file may name.
struct SpecialToken {
  const char* key;
  const std::string& name;                   // what the run file says, or nothing
  std::vector<std::string_view> usual;       // names that tokenizers have for it
  const char* purpose;                       // "mask others"
  std::optional<int> added_to_bytes;         // which one of those above the byte tokenizer's vocabulary
};

void require_rows(const RunFile& run, const ModelSpec& model, std::int64_t rows, const std::string& whose) {
  if (model.vocab < rows)
    run.model.options.reject("vocab", fmt::format("{} tokens are fewer than {}: {}", model.vocab, whose, rows),
                             fmt::format("set model.vocab={}", rows));
}

TokenId find_special(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer, const SpecialToken& token) {
  const DataSection& data = run.data;
  if (!token.name.empty()) {
    if (const auto found = tokenizer.find(token.name)) return *found;
    fail(data.tokenizer_mark, "data.{}: the tokenizer has no token '{}'", token.key, token.name);
  }
  for (const std::string_view usual : token.usual)
    if (const auto found = tokenizer.find(usual)) return *found;
  if (data.tokenizer != kByteTokenizer || !token.added_to_bytes)
    throw Error(ExitCode::bad_input, fmt::format("data.tokenizer: it has no token that is known to {}", token.purpose),
                fmt::format("name one: data.{}", token.key), data.tokenizer_mark);
  const std::int64_t id = tokenizer.vocab() + *token.added_to_bytes;
  require_rows(run, model, id + 1, fmt::format("the byte tokenizer has, and those to {}", token.purpose));
  return static_cast<TokenId>(id);
}

std::optional<TokenId> end_of(const DataSection& section, const Tokenizer* tokenizer) {
  if (!tokenizer) return std::nullopt;
  if (section.end_of_document.empty()) return tokenizer->end_of_document();
  if (const auto end = tokenizer->find(section.end_of_document)) return end;
  fail(section.tokenizer_mark, "data.end_of_document: the tokenizer has no token '{}'", section.end_of_document);
}

TokenRow read_text(const DataPart& part, const Tokenizer& tokenizer, TokenId end, std::size_t& count) {
  const std::vector<std::filesystem::path> files = find_files(part.files, part.mark);
  const auto encoder = tokenizer.encoder();
  std::vector<TokenId> tokens;
  for (const std::filesystem::path& file : files)
    placed("data.files", part.mark, [&] {
      const std::size_t before = tokens.size();
      encoder->encode(read_file(file), file.string(), tokens);
      if (tokens.size() > before) tokens.push_back(end);
    });
  if (tokens.empty())
    fail(part.mark, "data.files: no text in '{}'{}", files.front().string(),
         files.size() == 1 ? "" : fmt::format(" and {} other files", files.size() - 1));
  count += files.size();
  return {in_memory(std::move(tokens)), part.weight, files.front().string()};
}

TokenRow open_indexed(const DataPart& part, std::size_t& count) {
  if (part.files.empty())
    throw Error(ExitCode::bad_input, "data.files: no file is named",
                "write data: {use: indexed, files: [PREFIX of PREFIX.bin and PREFIX.idx]}", part.mark);
  std::vector<TokenReaderPointer> rows;
  for (const std::string& file : part.files)
    rows.push_back(placed("data.files", part.mark, [&] { return of_file(std::make_shared<const IndexedFile>(file)); }));
  count += rows.size();
  TokenRow row{joined(std::move(rows)), part.weight, part.files.front()};
  if (row.tokens->size() == 0) fail(part.mark, "data.files: no tokens in '{}'", row.name);
  return row;
}

}  // namespace

std::shared_ptr<const Tokenizer> tokenizer_of(const RunFile& run, const ModelSpec& model) {
  if (run.data.tokenizer.empty()) return nullptr;
  const auto tokenizer =
      placed("data.tokenizer", run.data.tokenizer_mark, [&] { return open_tokenizer(run.data.tokenizer); });
  require_rows(run, model, tokenizer->vocab(), fmt::format("the {} tokenizer has", tokenizer->kind()));
  return tokenizer;
}

TokenId end_token(const DataSection& section, const Tokenizer& tokenizer) {
  if (const auto end = end_of(section, &tokenizer)) return *end;
  throw Error(ExitCode::bad_input, "data.tokenizer: it has no token that is known to end documents",
              "name one: data.end_of_document", section.tokenizer_mark);
}

TokenId mask_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer) {
  return find_special(run, model, tokenizer,
                      {"mask_token", run.data.mask_token, {"[MASK]", "<mask>"}, "mask others", 0});
}

TokenId cls_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer) {
  return find_special(run, model, tokenizer, {"cls_token", run.data.cls_token, {"[CLS]", "<s>"}, "begin a sample", 1});
}

TokenId sep_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer) {
  if (run.data.tokenizer == kByteTokenizer && run.data.sep_token.empty()) return *tokenizer.end_of_document();
  return find_special(run, model, tokenizer,
                      {"sep_token", run.data.sep_token, {"[SEP]", "</s>"}, "end a text", std::nullopt});
}

std::vector<TokenId> sentinel_tokens(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer) {
  std::vector<TokenId> sentinels;
  while (const auto found = tokenizer.find(fmt::format("<extra_id_{}>", sentinels.size()))) sentinels.push_back(*found);
  if (!sentinels.empty()) return sentinels;
  const std::int64_t end = tokenizer.vocab() + run.data.sentinels;
  require_rows(run, model, end, fmt::format("the {} tokenizer and {} sentinels have", tokenizer.kind(), run.data.sentinels));
  for (std::int64_t id = end - 1; id >= tokenizer.vocab(); --id) sentinels.push_back(static_cast<TokenId>(id));
  return sentinels;
}

std::int64_t classes_of(const ModelSpec& model, const OpLibrary& ops) {
  const auto fields = fields_of(model, ops);
  const auto labels = fields.find("labels");
  if (labels == fields.end() || !labels->second.sequence.empty())
    throw Error(ExitCode::unsupported,
                fmt::format("data 'labelled_text' has a label for each text, and the model reads {}",
                            labels == fields.end() ? "no labels" : "one for each token"),
                "family bert has model.task=classification");
  return labels->second.range.values;
}

namespace {

void check_labelled(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, const Tokenizer& tokenizer) {
  cls_token(run, model, tokenizer);
  sep_token(run, model, tokenizer);
  const std::int64_t classes = classes_of(model, ops);
  for (const DataPart& part : run.data.parts()) read_labelled(part.files, part.mark, run.data, nullptr, classes);
  if (!run.data.held_out_files.empty())
    read_labelled(run.data.held_out_files, run.data.held_out_mark, run.data, nullptr, classes);
}

}  // namespace

std::vector<std::string> check_data(const RunFile& run, const ModelSpec& model, const OpLibrary& ops) {
  refuse_unknown_fields(run, model);
  if (run.data.is_images()) {
    const ImageData data = open_image_data(run, model);
    return run.data.use == "images" ? data.training->classes() : std::vector<std::string>();
  }
  check_suits(run, model, ops);
  const auto tokenizer = tokenizer_of(run, model);
  if (run.data.use == "labelled_text") {
    check_labelled(run, model, ops, *tokenizer);
    return run.data.labels;
  }
  if (run.data.is_masked()) mask_token(run, model, *tokenizer);
  if (run.data.use == "span_corruption") sentinel_tokens(run, model, *tokenizer);
  if (run.data.use == "sentence_pairs") cls_token(run, model, *tokenizer), sep_token(run, model, *tokenizer);
  else if (!run.data.is_indexed() || run.data.use == "span_corruption") end_token(run.data, *tokenizer);
  else end_of(run.data, tokenizer.get());
  std::size_t count = 0;
  for (const DataPart& part : run.data.parts()) {
    if (!run.data.is_indexed()) find_files(part.files, part.mark);
    else open_indexed(part, count);
  }
  return {};
}

TokenRows read_rows(const DataSection& section, const Tokenizer* tokenizer) {
  TokenRows result;
  result.end_of_document = end_of(section, tokenizer);
  for (const DataPart& part : section.parts())
    result.rows.push_back(!section.is_indexed()
                              ? read_text(part, *tokenizer, end_token(section, *tokenizer), result.files)
                              : open_indexed(part, result.files));
  return result;
}

}  // namespace trellis::data
