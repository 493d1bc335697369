#include "data/samples/labelled.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "plan/base/words.h"
#include "plan/run/text_files.h"
#include "plan/weights/json.h"
#include "trellis/plan/files.h"

namespace trellis::data {
namespace {

struct Line {
  std::string_view text;
  Mark mark;
};

std::vector<Line> lines_of(std::string_view text, const std::string& name) {
  std::vector<Line> lines;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // some programs begin UTF-8 with it
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back({line, {name, ++number, 1}});
    at = end + 1;
  }
  return lines;
}

std::vector<std::string_view> columns_of(std::string_view line) {
  std::vector<std::string_view> columns;
  for (std::size_t at = 0;; ++at) {
    const std::size_t end = std::min(line.find('\t', at), line.size());
    columns.push_back(line.substr(at, end - at));
    if ((at = end) == line.size()) return columns;
  }
}

// Takes texts and labels as files have them.
class Reader {
 public:
  Reader(const DataSection& section, const Tokenizer* tokenizer, std::int64_t classes)
      : section_(section), classes_(classes), encoder_(tokenizer ? tokenizer->encoder() : nullptr) {}

  void read_tsv(std::string_view text, const std::string& name) {
    const std::vector<Line> lines = lines_of(text, name);
    if (lines.empty()) return;
    const std::vector<std::string_view> header = columns_of(lines.front().text);
    const std::size_t text_at = column(header, section_.text_key, "text", lines.front().mark);
    const std::size_t label_at = column(header, section_.label_key, "label", lines.front().mark);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string_view> columns = columns_of(lines[i].text);
      if (columns.size() != header.size())
        fail(lines[i].mark, "expected {}, as the first line has, found {}",
             number_of(static_cast<std::int64_t>(header.size()), "column"), columns.size());
      add(columns[text_at], columns[label_at], lines[i].mark);
    }
  }

  void read_json_lines(std::string_view text, const std::string& name) {
    for (const Line& line : lines_of(text, name)) {
      if (line.text.find_first_not_of(" \t") == std::string_view::npos) continue;
      const Json object = parse(line);
      const Json& text_value = value(object, section_.text_key, "text", line.mark);
      const Json& label = value(object, section_.label_key, "label", line.mark);
      if (!text_value.is_string()) fail(line.mark, "'{}' is no text", section_.text_key);
      if (!label.is_string() && !label.is_number_integer())
        fail(line.mark, "'{}' is neither a whole number nor a name", section_.label_key);
      add(text_value.get<std::string>(), label.is_string() ? label.get<std::string>() : label.dump(), line.mark);
    }
  }

  LabelledTexts texts;

 private:
  static std::size_t column(const std::vector<std::string_view>& header, const std::string& name, const char* key,
                            const Mark& mark) {
    const auto found = std::ranges::find(header, name);
    if (found == header.end())
      throw Error(ExitCode::bad_input, fmt::format("there is no column '{}'", name),
                  fmt::format("the first line names: {}; data.{} names another", fmt::join(header, ", "), key), mark);
    return static_cast<std::size_t>(found - header.begin());
  }

  static Json parse(const Line& line) {
    try {
      Json object = parse_json(line.text, line.mark.file);
      if (object.is_object()) return object;
    } catch (const Error& error) {
      throw Error(error.code(), error.message(), error.hint(), {line.mark.file, line.mark.line, std::max(error.mark().column, 1)});
    }
    fail(line.mark, "expected a JSON object in each line");
  }

  static const Json& value(const Json& object, const std::string& name, const char* key, const Mark& mark) {
    const auto found = object.find(name);
    if (found == object.end())
      throw Error(ExitCode::bad_input, fmt::format("there is no '{}'", name), fmt::format("data.{} names another key", key), mark);
    return *found;
  }

  void add(std::string_view text, std::string_view label, const Mark& mark) {
    texts.labels.push_back(section_.labels.empty() ? number(label, mark) : named(label, mark));
    if (!encoder_) return;
    try {
      encoder_->encode(text, mark.file, texts.tokens);
    } catch (const Error& error) {
      throw Error(error.code(), error.message(), error.hint(), mark);
    }
    texts.ends.push_back(texts.tokens.size());
  }

  std::int64_t number(std::string_view label, const Mark& mark) const {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value);
    if (error != std::errc() || end != label.data() + label.size())
      throw Error(ExitCode::bad_input, fmt::format("the label '{}' is no number", label),
                  "names of labels are listed in order: data.labels=[negative, positive]", mark);
    if (value < 0 || value >= classes_)
      throw Error(ExitCode::bad_input,
                  fmt::format("label {} is out of range: the model has {} classes, from 0 on", value, classes_),
                  "model.classes is how many there are", mark);
    return value;
  }

  std::int64_t named(std::string_view label, const Mark& mark) const {
    const auto found = std::ranges::find(section_.labels, label);
    if (found == section_.labels.end())
      fail(mark, "the label '{}' is none of data.labels: {}", label, fmt::join(section_.labels, ", "));
    return found - section_.labels.begin();
  }

  const DataSection& section_;
  std::int64_t classes_;
  std::unique_ptr<Encoder> encoder_;
};

}  // namespace

LabelledTexts read_labelled(const std::vector<std::string>& files, const Mark& mark, const DataSection& section,
                            const Tokenizer* tokenizer, std::int64_t classes) {
  if (static_cast<std::int64_t>(section.labels.size()) > classes)
    fail(section.mark, "data.labels: {} names, and the model has {} classes", section.labels.size(), classes);
  const std::vector<std::filesystem::path> found = find_files(files, mark);
  Reader reader(section, tokenizer, classes);
  for (const std::filesystem::path& file : found) {
    const std::string extension = file.extension().string();
    if (extension != ".tsv" && extension != ".jsonl")
      throw Error(ExitCode::bad_input, fmt::format("data.files: '{}' is no file of labelled texts that is known by its name", file.string()),
                  "expected .tsv (columns, named in the first line) or .jsonl (a JSON object a line)", mark);
    const std::string text = read_file(file);
    if (extension == ".tsv") reader.read_tsv(text, file.string());
    else reader.read_json_lines(text, file.string());
  }
  if (reader.texts.labels.empty()) fail(mark, "data.files: no text in '{}'", found.front().string());
  reader.texts.files = found.size();
  return std::move(reader.texts);
}

}  // namespace trellis::data
