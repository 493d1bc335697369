#include "data/samples/run_data.h"

#include <fmt/format.h>

#include "data/images/image_data.h"
#include "plan/run/text_files.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

// The error of a file that a part of the data names, at the part.
template <class Act>
auto placed(const char* what, const Mark& mark, Act act) {
  try {
    return act();
  } catch (const Error& error) {
    const std::string where = error.mark().file.empty() ? "" : format(error.mark()) + ": ";
    throw Error(error.code(), fmt::format("{}: {}{}", what, where, error.message()), error.hint(), mark);
  }
}

std::optional<TokenId> end_of(const DataSection& section, const Tokenizer* tokenizer) {
  if (!tokenizer) return std::nullopt;
  if (section.end_of_document.empty()) return tokenizer->end_of_document();
  if (const auto end = tokenizer->find(section.end_of_document)) return end;
  fail(section.tokenizer_mark, "data.end_of_document: the tokenizer has no token '{}'", section.end_of_document);
}

TokenId must_end(const DataSection& section, const Tokenizer& tokenizer) {
  if (const auto end = end_of(section, &tokenizer)) return *end;
  throw Error(ExitCode::bad_input, "data.tokenizer: it has no token that is known to end documents",
              "name one: data.end_of_document", section.tokenizer_mark);
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
  if (model.vocab < tokenizer->vocab())
    run.model.options.reject("vocab",
                             fmt::format("{} tokens are fewer than the {} tokenizer has: {}", model.vocab,
                                         tokenizer->kind(), tokenizer->vocab()),
                             fmt::format("set model.vocab={}", tokenizer->vocab()));
  return tokenizer;
}

TokenId mask_token(const RunFile& run, const ModelSpec& model, const Tokenizer& tokenizer) {
  const std::string& name = run.data.mask_token;
  if (!name.empty()) {
    if (const auto found = tokenizer.find(name)) return *found;
    fail(run.data.tokenizer_mark, "data.mask_token: the tokenizer has no token '{}'", name);
  }
  for (const char* usual : {"[MASK]", "<mask>"})
    if (const auto found = tokenizer.find(usual)) return *found;
  if (run.data.tokenizer != kByteTokenizer)
    throw Error(ExitCode::bad_input, "data.tokenizer: it has no token that is known to mask others",
                "name one: data.mask_token", run.data.tokenizer_mark);
  if (model.vocab <= tokenizer.vocab())
    run.model.options.reject("vocab",
                             fmt::format("{} tokens are fewer than the byte tokenizer has, and the one that masks: {}",
                                         model.vocab, tokenizer.vocab() + 1),
                             fmt::format("set model.vocab={}", tokenizer.vocab() + 1));
  return static_cast<TokenId>(tokenizer.vocab());
}

void check_data(const RunFile& run, const ModelSpec& model) {
  if (run.data.is_images()) {
    open_image_data(run, model);
    return;
  }
  const auto tokenizer = tokenizer_of(run, model);
  if (run.data.is_masked()) mask_token(run, model, *tokenizer);
  if (!run.data.is_indexed()) must_end(run.data, *tokenizer);
  else end_of(run.data, tokenizer.get());
  std::size_t count = 0;
  for (const DataPart& part : run.data.parts()) {
    if (!run.data.is_indexed()) find_files(part.files, part.mark);
    else open_indexed(part, count);
  }
}

TokenRows read_rows(const DataSection& section, const Tokenizer* tokenizer) {
  TokenRows result;
  result.end_of_document = end_of(section, tokenizer);
  for (const DataPart& part : section.parts())
    result.rows.push_back(!section.is_indexed()
                              ? read_text(part, *tokenizer, must_end(section, *tokenizer), result.files)
                              : open_indexed(part, result.files));
  return result;
}

}  // namespace trellis::data
