// trellis data tokenize | show: text to indexed files, and what is in them.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "data/indexed/indexed.h"
#include "data/indexed/tokenize_files.h"
#include "data/tokenizer/tokenizer.h"
#include "host/progress_bar.h"
#include "host/verbs.h"
#include "plan/run/text_files.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

struct TokenizeArgs {
  std::vector<std::string> files;
  std::filesystem::path tokenizer = std::string(data::kByteTokenizer), out, json;
  std::string documents, key = "text", end;
  int threads = 0;
};

using Documents = data::TokenizeJob::Documents;

Documents documents_of(const TokenizeArgs& args, const std::vector<std::filesystem::path>& files) {
  if (args.documents == "files") return Documents::files;
  if (args.documents == "lines") return Documents::lines;
  if (args.documents == "jsonl") return Documents::json_lines;
  if (!args.documents.empty())
    throw Error(ExitCode::usage,
                fmt::format("--documents: expected files, lines or jsonl, found '{}'", args.documents));
  const auto is_json = [](const std::filesystem::path& file) {
    return file.extension() == ".jsonl" || file.extension() == ".ndjson" || file.extension() == ".json";
  };
  const auto count = std::count_if(files.begin(), files.end(), is_json);
  if (count != 0 && static_cast<std::size_t>(count) != files.size())
    throw Error(ExitCode::usage, fmt::format("{} of {} files are JSON lines by their name", count, files.size()),
                "say what a document is: --documents files, lines or jsonl");
  return count == 0 ? Documents::files : Documents::json_lines;
}

std::optional<data::TokenId> end_of(const TokenizeArgs& args, const data::Tokenizer& tokenizer) {
  if (args.end == "none") return std::nullopt;
  if (args.end.empty()) {
    if (const auto end = tokenizer.end_of_document()) return end;
    throw Error(ExitCode::bad_input, "the tokenizer has no token that is known to end documents",
                "name one with --end TOKEN, or --end none: documents are joined without a border");
  }
  if (const auto end = tokenizer.find(args.end)) return end;
  throw Error(ExitCode::usage, fmt::format("--end: the tokenizer has no token '{}'", args.end));
}

ExitCode tokenize(const TokenizeArgs& args) {
  const std::filesystem::path prefix = data::indexed_prefix(args.out);
  try_writing(args.json);
  data::TokenizeJob job;
  job.files = data::find_files(args.files, {"command line", 0, 0});
  job.documents = documents_of(args, job.files);
  job.key = args.key;
  job.tokenizer = data::open_tokenizer(args.tokenizer);
  job.end = end_of(args, *job.tokenizer);
  job.threads = args.threads > 0 ? args.threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  job.prefix = prefix;
  for (const char* suffix : {".bin", ".idx"}) try_writing(data::with_suffix(prefix, suffix));
  const auto start = std::chrono::steady_clock::now();
  data::TokenizeResult result;
  {
    ProgressBar bar("tokenize");
    result = data::tokenize_files(job, [&](std::int64_t done, std::int64_t total) { bar.show(done, total); });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double megabytes = static_cast<double>(result.bytes) / 1e6;
  const std::string_view type = name_of(data::type_for(job.tokenizer->vocab()));
  fmt::print("tokenizer {}, {} tokens\n", job.tokenizer->kind(), job.tokenizer->vocab());
  fmt::print("read      {:.1f} MB in {} files, {} documents{}\n", megabytes, job.files.size(), result.documents,
             result.empty > 0 ? fmt::format("; {} empty ones left out", result.empty) : "");
  fmt::print("tokens    {}, {:.2f} bytes each; {:.1f} s, {:.1f} MB/s on {} threads\n", result.tokens,
             static_cast<double>(result.bytes) / static_cast<double>(result.tokens), seconds, megabytes / seconds,
             job.threads);
  fmt::print("wrote     {}.bin and .idx ({})\n", prefix.string(), type);
  if (!args.json.empty()) {
    const nlohmann::ordered_json json = {{"prefix", prefix.string()},       {"tokenizer", job.tokenizer->kind()},
                                         {"vocab", job.tokenizer->vocab()}, {"type", type},
                                         {"documents", result.documents},   {"empty", result.empty},
                                         {"tokens", result.tokens},         {"bytes", result.bytes},
                                         {"seconds", seconds}};
    write_file_atomically(args.json, json.dump(2) + "\n");
  }
  return ExitCode::success;
}

ExitCode show(const std::filesystem::path& path) {
  const data::IndexedFile file(path);
  fmt::print("{}: {} tokens ({}) in {} sequences, {} documents\n", file.prefix().string(), file.tokens(),
             data::name_of(file.type()), file.sequences(), file.documents());
  return ExitCode::success;
}

void add_tokenize(CLI::App& data, Context& context) {
  auto args = std::make_shared<TokenizeArgs>();
  CLI::App* verb = data.add_subcommand(
      "tokenize", "Turn text or JSON lines into an indexed file (.bin and .idx, as of Megatron-LM).");
  verb->add_option("files", args->files, "Files, folders and patterns, like those of data.files")
      ->required()
      ->type_name("FILES");
  verb->add_option("--tokenizer", args->tokenizer,
                   "byte (the default), a tokenizer.json, a vocab.json with merges.txt beside it, a vocab.txt of BERT, "
                   "a *.model "
                   "of SentencePiece, or a folder with one of them")
      ->type_name("FILE");
  verb->add_option("--out", args->out,
                   "What to write: PREFIX.bin and PREFIX.idx. Their folder is made where it is missing")
      ->required()
      ->type_name("PREFIX");
  verb->add_option(
          "--documents", args->documents,
          "What a document is: files, lines, or jsonl (a JSON object a line). Default: jsonl where all files are named "
          "*.jsonl, *.ndjson or *.json, else files")
      ->type_name("KIND");
  verb->add_option("--key", args->key, "The field of a JSON object that has the text. Default: text")
      ->type_name("NAME");
  verb->add_option("--end", args->end,
                   "The token behind each document, or none. Default: the tokenizer's own, as <|endoftext|> or </s>")
      ->type_name("TOKEN");
  verb->add_option("--threads", args->threads, "Default: as many as cores. The files do not depend on it")
      ->type_name("N")
      ->check(at_least_one());
  verb->add_option("--json", args->json, "Also write the result to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [args] { return tokenize(*args); }; });
}

void add_show(CLI::App& data, Context& context) {
  auto path = std::make_shared<std::filesystem::path>();
  CLI::App* verb = data.add_subcommand("show", "Check an indexed file and say what is in it.");
  verb->add_option("prefix", *path, "PREFIX of PREFIX.bin and PREFIX.idx")->required()->type_name("PREFIX");
  verb->callback([&context, path] { context.work = [path] { return show(*path); }; });
}

}  // namespace

void add_data_verb(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("data", "Prepare text for training: tokenize | show.");
  verb->require_subcommand(1);
  add_tokenize(*verb, context);
  add_show(*verb, context);
}

}  // namespace trellis::host
