// tokenizer.json: the file of the public package.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <set>

#include "data/tokenizer/json_part.h"
#include "data/tokenizer/pipeline.h"
#include "plan/weights/json.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_type(const JsonPart& part, const std::string& type, std::string_view known,
                              std::string hint = {}) {
  part.refuse("type", fmt::format("'{}' is not supported", type),
              hint.empty() ? fmt::format("supported: {}", known) : std::move(hint));
}

constexpr std::string_view kSentencePieceHint =
    "this is a SentencePiece model: name its file spiece.model or tokenizer.model instead, which is read by its own "
    "library";

// --- added tokens ---

AddedToken read_added(const JsonPart& part) {
  AddedToken token;
  token.content = part.text("content");
  token.id = static_cast<TokenId>(part.number("id", -1));
  if (!part.has("id") || part.number("id", 0) >= kMostTokens)
    part.reject("id", fmt::format("expected a number below {}", kMostTokens));
  if (token.content.empty()) part.reject("content", "an empty token");
  if (part.flag("single_word", false))
    part.refuse("single_word", fmt::format("token '{}' is only found as a word of its own", token.content),
                "supported: false");
  token.left_strip = part.flag("lstrip", false);
  token.right_strip = part.flag("rstrip", false);
  token.special = part.flag("special", false);
  token.normalized = part.flag("normalized", !token.special);
  part.finish();
  return token;
}

// --- normalizer ---

void read_normalizer(const JsonPart& part, std::vector<NormalizerStep>& steps) {
  using Kind = NormalizerStep::Kind;
  const std::string type = part.text("type");
  if (type == "Sequence") {
    for (const JsonPart& step : part.objects("normalizers")) read_normalizer(step, steps);
  } else if (type == "NFC") {
    steps.push_back({Kind::nfc});
  } else if (type == "NFD") {
    steps.push_back({Kind::nfd});
  } else if (type == "Lowercase") {
    steps.push_back({Kind::lower});
  } else if (type == "BertNormalizer") {
    NormalizerStep step{Kind::bert};
    step.clean = part.flag("clean_text", true);
    step.ideographs = part.flag("handle_chinese_chars", true);
    step.lower = part.flag("lowercase", true);
    step.strip_accents = part.flag("strip_accents", step.lower);
    steps.push_back(step);
  } else {
    const bool of_sentencepiece = type == "Precompiled" || type == "Prepend" || type == "Replace";
    refuse_type(part, type, "NFC, NFD, Lowercase, BertNormalizer, Sequence",
                of_sentencepiece ? std::string(kSentencePieceHint) : "");
  }
  part.finish();
}

// --- pre-tokenizer ---

struct Cuts {
  std::vector<CutStep> steps;
  bool byte_level = false;
};

std::shared_ptr<const SplitExpression> read_expression(const JsonPart& split) {
  const JsonPart pattern = split.object("pattern");
  const bool is_regex = pattern.has("Regex");
  const std::string text = pattern.text(is_regex ? "Regex" : "String");
  pattern.finish();
  try {
    return std::make_shared<const SplitExpression>(is_regex ? SplitExpression(text) : SplitExpression::literal(text));
  } catch (const Error& error) {
    split.refuse("pattern", error.message(), error.hint());
  }
}

CutStep read_split(const JsonPart& part) {
  CutStep step{.kind = CutStep::Kind::split, .expression = read_expression(part)};
  const std::string behavior = part.text("behavior");
  const bool invert = part.flag("invert", false);
  if (behavior == "Removed") (invert ? step.keeps_rest : step.keeps_matches) = false;
  else if (behavior != "Isolated")
    part.refuse("behavior", fmt::format("'{}' is not supported", behavior), "supported: Isolated, Removed");
  return step;
}

void read_cuts(const JsonPart& part, Cuts& cuts) {
  using Kind = CutStep::Kind;
  const std::string type = part.text("type");
  if (cuts.byte_level && type != "Sequence")
    part.refuse("type", fmt::format("'{}' behind ByteLevel is not supported", type), "ByteLevel is the last step");
  if (type == "Sequence") {
    for (const JsonPart& step : part.objects("pretokenizers")) read_cuts(step, cuts);
  } else if (type == "ByteLevel") {
    cuts.byte_level = true;
    if (part.flag("add_prefix_space", true)) cuts.steps.push_back({.kind = Kind::prefix});
    if (part.flag("use_regex", true))
      cuts.steps.push_back(
          {.kind = Kind::split, .expression = std::make_shared<const SplitExpression>(gpt2_expression())});
    part.ignore({"trim_offsets"});
  } else if (type == "Split") {
    cuts.steps.push_back(read_split(part));
  } else if (type == "Digits") {
    cuts.steps.push_back({.kind = Kind::digits, .one_by_one = part.flag("individual_digits", false)});
  } else if (type == "BertPreTokenizer") {
    cuts.steps.push_back({.kind = Kind::bert});
  } else {
    refuse_type(part, type, "ByteLevel, Split, Digits, BertPreTokenizer, Sequence",
                type == "Metaspace" ? std::string(kSentencePieceHint) : "");
  }
  part.finish();
}

// --- model ---

Vocabulary read_vocabulary(const LargeJson& value, const std::function<void(std::string)>& reject) {
  if (!value.is_object() || value.empty()) reject("expected an object with a number for each token");
  Vocabulary result;
  std::vector<bool> taken;
  for (const auto& [token, id] : value.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(kMostTokens))
      reject(fmt::format("token '{}' has the number {}; expected one below {}", token, id.dump(), kMostTokens));
    const auto number = id.get<std::size_t>();
    if (number >= taken.size()) taken.resize(number + 1);
    if (taken[number]) reject(fmt::format("two tokens have the number {}, one is '{}'", number, token));
    taken[number] = true;
    result.emplace(token, static_cast<TokenId>(number));
  }
  return result;
}

Vocabulary read_vocabulary(const JsonPart& model) {
  return read_vocabulary(model.member("vocab"), [&](const std::string& what) { model.reject("vocab", what); });
}

std::pair<std::string, std::string> parse_merge(std::string_view line, const std::function<void(std::string)>& reject) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos)
    reject(fmt::format("expected two tokens with a space between them, found '{}'", line));
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

// "a b", or since 0.20 of the package ["a", "b"].
std::vector<std::pair<std::string, std::string>> read_merges(const JsonPart& model) {
  const LargeJson& merges = model.member("merges");
  if (!merges.is_array()) model.reject("merges", "expected a list");
  std::vector<std::pair<std::string, std::string>> result;
  for (const LargeJson& merge : merges) {
    const std::string where = fmt::format("merges[{}]", result.size());
    const bool is_pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    if (is_pair) result.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    else if (merge.is_string())
      result.push_back(
          parse_merge(merge.get<std::string>(), [&](const std::string& what) { model.reject(where, what); }));
    else model.reject(where, "expected two tokens");
  }
  return result;
}

std::shared_ptr<const WordModel> read_bpe(const JsonPart& model, bool byte_level) {
  if (model.flag("byte_fallback", false))
    model.refuse("byte_fallback", "true is not supported", std::string(kSentencePieceHint));
  if (!byte_level)
    model.refuse("type", "BPE without the pre-tokenizer ByteLevel is not supported", std::string(kSentencePieceHint));
  model.expect_off({"dropout", "continuing_subword_prefix", "end_of_word_suffix"});
  model.ignore({"unk_token", "fuse_unk"});  // every byte has a token
  const Vocabulary vocabulary = read_vocabulary(model);
  const auto merges = read_merges(model);
  const bool whole_words_first = model.flag("ignore_merges", false);
  try {
    return std::make_shared<ByteLevelBpe>(vocabulary, merges, whole_words_first);
  } catch (const Error& error) {
    model.reject({}, error.message(), error.hint());
  }
}

std::shared_ptr<const WordModel> read_wordpiece(const JsonPart& model) {
  Vocabulary vocabulary = read_vocabulary(model);
  const std::string unknown = model.text("unk_token");
  const auto found = vocabulary.find(unknown);
  if (found == vocabulary.end()) model.reject("unk_token", fmt::format("'{}' is not in the vocabulary", unknown));
  const TokenId id = found->second;
  return std::make_shared<WordPiece>(std::move(vocabulary), id, model.text("continuing_subword_prefix"),
                                     static_cast<std::size_t>(model.number("max_input_chars_per_word", 100)));
}

// Files of old versions say no type.
std::string type_of_model(const JsonPart& model) {
  return model.text("type", model.has("merges") ? "BPE" : model.has("continuing_subword_prefix") ? "WordPiece" : "");
}

void check_added(const JsonPart& top, const std::vector<AddedToken>& added, const WordModel& model) {
  std::set<std::string> seen;
  for (const AddedToken& token : added) {
    const TokenId* own = model.find(token.content);
    if (own && *own != token.id)
      top.reject("added_tokens",
                 fmt::format("'{}' has the number {}, and in the vocabulary {}", token.content, token.id, *own));
    if (!seen.insert(token.content).second)
      top.reject("added_tokens", fmt::format("'{}' is there twice", token.content));
  }
}

// The config of a folder says of which class the files beside it are; where there is none, they are as their name says.
LargeJson config_beside(const fs::path& file) {
  const fs::path config = file.parent_path() / "tokenizer_config.json";
  return fs::exists(config) ? parse_large_json(read_file(config), config.string()) : LargeJson::object();
}

void check_class(const JsonPart& config, std::initializer_list<std::string_view> known) {
  const std::string name = config.text("tokenizer_class", std::string(*known.begin()));
  for (const std::string_view good : known)
    if (name == good || name == std::string(good) + "Fast") return;
  config.refuse("tokenizer_class", fmt::format("'{}' is not read from these files", name),
                fmt::format("they are read as {}; a tokenizer.json says all about another one", *known.begin()));
}

std::vector<std::string> lines_of(const fs::path& file) {
  const std::string text = read_file(file);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

}  // namespace

bool is_of_sentencepiece(const fs::path& file) {
  const LargeJson json = parse_large_json(read_file(file), file.string());
  const auto model = json.is_object() ? json.find("model") : json.end();
  if (model == json.end() || !model->is_object()) return false;
  return model->value("type", LargeJson()) == "Unigram" || model->value("byte_fallback", LargeJson()) == true;
}

PipelineParts read_tokenizer_json(const fs::path& file) {
  const LargeJson json = parse_large_json(read_file(file), file.string());
  const JsonPart top(json, file.string(), {});
  // A document is never cut, filled up or framed, and nobody turns tokens into text here.
  top.ignore({"version", "truncation", "padding", "post_processor", "decoder"});
  PipelineParts parts;
  if (top.has("added_tokens"))
    for (const JsonPart& token : top.objects("added_tokens")) parts.added.push_back(read_added(token));
  const JsonPart model = top.object("model");
  const std::string type = type_of_model(model);
  if (type == "Unigram") refuse_type(model, type, "BPE, WordPiece", std::string(kSentencePieceHint));
  if (type != "BPE" && type != "WordPiece") refuse_type(model, type, "BPE, WordPiece");
  if (top.has("normalizer")) read_normalizer(top.object("normalizer"), parts.normalizer);
  Cuts cuts;
  if (top.has("pre_tokenizer")) read_cuts(top.object("pre_tokenizer"), cuts);
  if (type == "WordPiece" && cuts.byte_level)
    model.refuse("type", "WordPiece with the pre-tokenizer ByteLevel is not supported", "supported: BPE with it");
  parts.cuts = std::move(cuts.steps);
  parts.kind = type == "BPE" ? "byte-level BPE" : "WordPiece";
  parts.model = type == "BPE" ? read_bpe(model, cuts.byte_level) : read_wordpiece(model);
  check_added(top, parts.added, *parts.model);
  model.finish();
  top.finish();
  return parts;
}

PipelineParts read_gpt2_files(const fs::path& vocab_json, const fs::path& merges_txt) {
  const LargeJson config = config_beside(vocab_json);
  check_class(JsonPart(config, (vocab_json.parent_path() / "tokenizer_config.json").string(), {}), {"GPT2Tokenizer"});
  const Mark mark{vocab_json.string()};
  const Vocabulary vocabulary = read_vocabulary(parse_large_json(read_file(vocab_json), vocab_json.string()),
                                                [&](const std::string& what) { fail(mark, "{}", what); });
  std::vector<std::pair<std::string, std::string>> merges;
  int number = 0;
  for (const std::string& line : lines_of(merges_txt)) {
    ++number;
    if (line.starts_with("#version")) continue;
    merges.push_back(parse_merge(line, [&](const std::string& what) {
      fail(Mark{merges_txt.string(), number, 1}, "{}", what);
    }));
  }
  PipelineParts parts{.kind = "byte-level BPE"};
  try {
    parts.model = std::make_shared<ByteLevelBpe>(vocabulary, merges, false);
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), error.hint(), {merges_txt.string()});
  }
  if (const TokenId* end = parts.model->find("<|endoftext|>"))
    parts.added.push_back({.content = "<|endoftext|>", .id = *end, .special = true});
  parts.cuts.push_back({.expression = std::make_shared<const SplitExpression>(gpt2_expression())});
  return parts;
}

PipelineParts read_wordpiece_file(const fs::path& vocab_txt) {
  const LargeJson json = config_beside(vocab_txt);
  const JsonPart config(json, (vocab_txt.parent_path() / "tokenizer_config.json").string(), {});
  check_class(config, {"BertTokenizer"});
  NormalizerStep step{NormalizerStep::Kind::bert};
  step.lower = config.flag("do_lower_case", true);
  step.strip_accents = config.flag("strip_accents", step.lower);
  step.ideographs = config.flag("tokenize_chinese_chars", true);
  Vocabulary vocabulary;
  TokenId next = 0;
  for (std::string& line : lines_of(vocab_txt)) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.pop_back();
    if (!line.empty() && !vocabulary.emplace(line, next).second)
      fail(Mark{vocab_txt.string(), next + 1, 1}, "'{}' is there twice", line);
    ++next;
  }
  const auto unknown = vocabulary.find("[UNK]");
  if (unknown == vocabulary.end())
    fail(Mark{vocab_txt.string()}, "there is no token [UNK]: this is no vocabulary of BERT");
  PipelineParts parts{.kind = "WordPiece", .normalizer = {step}, .cuts = {{.kind = CutStep::Kind::bert}}};
  for (const char* name : {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"})
    if (const auto found = vocabulary.find(name); found != vocabulary.end())
      parts.added.push_back({.content = name, .id = found->second, .special = true});
  const TokenId id = unknown->second;
  parts.model = std::make_shared<WordPiece>(std::move(vocabulary), id, "##", 100);
  return parts;
}

}  // namespace trellis::data
