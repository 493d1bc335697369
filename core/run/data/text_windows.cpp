#include "run/data/text_windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/base/words.h"
#include "run/data/token_stream.h"
#include "trellis/plan/error.h"

namespace trellis::data {

TextWindows::TextWindows(std::vector<TokenRow> rows, WindowOptions options) : rows_(std::move(rows)), options_(options) {
  const auto windows = [&](const TokenRow& row) {
    return std::max<std::int64_t>(row.tokens->size() - options_.more, 0) / options_.length;
  };
  const auto is_short = [&](const TokenRow& row) { return windows(row) == 0; };
  if (options_.order == Order::in_turn && !std::ranges::all_of(rows_, is_short)) std::erase_if(rows_, is_short);
  std::vector<SourceSize> sizes;
  for (const TokenRow& row : rows_) {
    if (is_short(row))
      throw Error(ExitCode::bad_input,
                  fmt::format("a sample has {} tokens, and there are only {}{}", options_.length + options_.more,
                              row.tokens->size(), rows_.size() == 1 ? "" : fmt::format(" in '{}'", row.name)),
                  "more text, or a shorter sequence");
    sizes.push_back({windows(row), row.weight});
  }
  order_.emplace(sizes, options_.batch, options_.seed, options_.order);
}

void TextWindows::read(std::int64_t sample, std::int64_t from, std::span<std::int64_t> out) const {
  const auto [source, index] = order_->place(sample);
  const TokenRow& row = rows_[source];
  const std::int64_t begin = index * options_.length + from;
  row.tokens->read(begin, out);
  if (options_.vocab == 0) return;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out[i] < 0 || out[i] >= options_.vocab)
      throw Error(ExitCode::bad_input,
                  fmt::format("data: '{}' has token {} at place {}, and the model's vocabulary has {}", row.name, out[i],
                              begin + static_cast<std::int64_t>(i), options_.vocab),
                  "the files were made with another tokenizer, or model.vocab is too small");
}

Text Text::read(const DataSection& section, const Tokenizer* tokenizer) {
  TokenRows rows = read_rows(section, tokenizer);
  Text text;
  text.files = rows.files;
  text.end_of_document = rows.end_of_document;
  for (TokenRow& row : rows.rows) {
    const std::int64_t size = row.tokens->size();
    const auto held_out = static_cast<std::int64_t>(static_cast<double>(size) * section.held_out);
    text.tokens += size;
    text.training.push_back({part_of(row.tokens, 0, size - held_out), row.weight, row.name});
    text.held_out.push_back({part_of(row.tokens, size - held_out, size), row.weight, row.name});
  }
  text.unigram_entropy = data::unigram_entropy(text.training);
  return text;
}

std::string summary_of(const Text& text, const RunFile& run) {
  return fmt::format("{} in {}, {:.3g} % of them held out", count_of(text.tokens, "tokens"),
                     number_of(static_cast<std::int64_t>(text.files), "file"), 100 * run.data.held_out);
}

}  // namespace trellis::data
