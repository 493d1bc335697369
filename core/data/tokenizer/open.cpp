#include <fmt/format.h>

#include <algorithm>

#include "data/tokenizer/pipeline.h"
#include "plan/base/utf8.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kForms =
    "'byte', a file tokenizer.json, vocab.json with merges.txt beside it, vocab.txt or *.model, or a folder with one";

[[noreturn]] void reject(const fs::path& path, std::string message, std::string hint = {}) {
  throw Error(ExitCode::bad_input, std::move(message), std::move(hint), {path.string()});
}

// What a folder's tokenizer is read from.
fs::path main_file(const fs::path& folder) {
  const fs::path json = folder / "tokenizer.json";
  for (const char* name : {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model"})
    if (fs::exists(folder / name) && (!fs::exists(json) || is_of_sentencepiece(json))) return folder / name;
  for (const char* name : {"tokenizer.json", "vocab.json", "vocab.txt"})
    if (fs::exists(folder / name)) return folder / name;
  reject(folder, "there is no tokenizer in this folder",
         "looked for tokenizer.json, spiece.model, tokenizer.model, vocab.json with merges.txt, vocab.txt");
}

fs::path file_of(const fs::path& path) {
  if (fs::is_directory(path)) return main_file(path);
  if (!fs::exists(path))
    throw Error(ExitCode::io, fmt::format("there is no tokenizer '{}'", path.string()),
                std::string("expected ") + kForms);
  return path;
}

fs::path merges_beside(const fs::path& vocab_json) {
  const fs::path merges = vocab_json.parent_path() / "merges.txt";
  if (!fs::exists(merges)) reject(vocab_json, "there is no merges.txt beside it");
  return merges;
}

}  // namespace

Encoder::~Encoder() = default;
Tokenizer::~Tokenizer() = default;

void Encoder::encode(std::string_view text, const std::string& name, std::vector<TokenId>& out) {
  if (needs_utf8_)
    if (const std::size_t valid = valid_utf8(text); valid < text.size()) {
      const std::string_view before = text.substr(0, valid);
      const auto line = std::count(before.begin(), before.end(), '\n') + 1;
      throw Error(ExitCode::bad_input,
                  fmt::format("this is not UTF-8 text: byte 0x{:02X}", static_cast<unsigned char>(text[valid])),
                  "this tokenizer takes UTF-8; the byte tokenizer takes anything",
                  {name, static_cast<int>(std::min<std::ptrdiff_t>(line, 1 << 30)),
                   static_cast<int>(std::min<std::size_t>(valid - (before.rfind('\n') + 1), 1 << 30)) + 1});
    }
  encode_valid(text, out);
}

std::shared_ptr<const Tokenizer> open_tokenizer(const fs::path& path) {
  if (path == kByteTokenizer) return make_byte_tokenizer();
  const fs::path file = file_of(path);
  const std::string name = file.filename().string();
  if (file.extension() == ".model") return open_sentencepiece(file);
  if (name == "vocab.json" || name == "merges.txt") {
    const fs::path vocab = file.parent_path() / "vocab.json";
    if (!fs::exists(vocab)) reject(file, "there is no vocab.json beside it");
    return make_pipeline(read_gpt2_files(vocab, merges_beside(vocab)));
  }
  if (file.extension() == ".json") return make_pipeline(read_tokenizer_json(file));
  if (file.extension() == ".txt") return make_pipeline(read_wordpiece_file(file));
  reject(file, "this is no tokenizer that is known by its name", std::string("expected ") + kForms);
}

std::vector<TokenizerFile> tokenizer_files(const fs::path& path) {
  if (path == kByteTokenizer) return {};
  const fs::path file = file_of(path), folder = file.parent_path();
  const std::string name = file.filename().string();
  if (name == "vocab.json" || name == "merges.txt")
    return {{folder / "vocab.json", "vocab.json"}, {folder / "merges.txt", "merges.txt"}};
  const std::string extension = file.extension().string();
  std::vector<TokenizerFile> files = {{file, extension == ".json"  ? "tokenizer.json"
                                             : extension == ".txt" ? "vocab.txt"
                                             : name == "tokenizer.model" ? name
                                                                         : "spiece.model"}};
  for (const char* other : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"})
    if (fs::is_directory(path) && folder / other != file && fs::exists(folder / other))
      files.push_back({folder / other, other});
  return files;
}

}  // namespace trellis::data
