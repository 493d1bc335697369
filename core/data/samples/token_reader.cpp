#include "data/samples/token_reader.h"

#include <algorithm>

namespace trellis::data {
namespace {

class InMemory final : public TokenReader {
 public:
  explicit InMemory(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(tokens_.size()); }
  void read(std::int64_t begin, std::span<std::int64_t> out) const override {
    std::copy_n(tokens_.begin() + begin, out.size(), out.begin());
  }

 private:
  std::vector<TokenId> tokens_;
};

class OfFile final : public TokenReader {
 public:
  explicit OfFile(std::shared_ptr<const IndexedFile> file) : file_(std::move(file)) {}
  std::int64_t size() const override { return file_->tokens(); }
  void read(std::int64_t begin, std::span<std::int64_t> out) const override { file_->read(begin, out); }

 private:
  std::shared_ptr<const IndexedFile> file_;
};

class Joined final : public TokenReader {
 public:
  explicit Joined(std::vector<TokenReaderPointer> rows) : rows_(std::move(rows)) {
    std::int64_t end = 0;
    for (const TokenReaderPointer& row : rows_) ends_.push_back(end += row->size());
  }
  std::int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  void read(std::int64_t begin, std::span<std::int64_t> out) const override {
    auto row = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), begin) - ends_.begin());
    while (!out.empty()) {
      const std::int64_t first = row == 0 ? 0 : ends_[row - 1];
      const auto count = std::min(out.size(), static_cast<std::size_t>(ends_[row] - begin));
      rows_[row++]->read(begin - first, out.first(count));
      begin += static_cast<std::int64_t>(count);
      out = out.subspan(count);
    }
  }

 private:
  std::vector<TokenReaderPointer> rows_;
  std::vector<std::int64_t> ends_;
};

class Part final : public TokenReader {
 public:
  Part(TokenReaderPointer row, std::int64_t begin, std::int64_t end) : row_(std::move(row)), begin_(begin), end_(end) {}
  std::int64_t size() const override { return end_ - begin_; }
  void read(std::int64_t begin, std::span<std::int64_t> out) const override { row_->read(begin_ + begin, out); }

 private:
  TokenReaderPointer row_;
  std::int64_t begin_, end_;
};

}  // namespace

TokenReader::~TokenReader() = default;

TokenReaderPointer in_memory(std::vector<TokenId> tokens) { return std::make_shared<InMemory>(std::move(tokens)); }
TokenReaderPointer of_file(std::shared_ptr<const IndexedFile> file) {
  return std::make_shared<OfFile>(std::move(file));
}
TokenReaderPointer joined(std::vector<TokenReaderPointer> rows) {
  return rows.size() == 1 ? rows.front() : std::make_shared<Joined>(std::move(rows));
}
TokenReaderPointer part_of(TokenReaderPointer row, std::int64_t begin, std::int64_t end) {
  return std::make_shared<Part>(std::move(row), begin, end);
}

}  // namespace trellis::data
