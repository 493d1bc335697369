#include "data/indexed/tokenize_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>

#include "data/indexed/indexed.h"
#include "data/indexed/mapped_file.h"
#include "plan/weights/json.h"
#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 1 << 18;     // bytes of text that a thread takes at a time, or one document
constexpr std::size_t kBatchesAhead = 4;    // of each thread

struct Document {
  std::string_view text;  // a line of JSON in json_lines
  int line = 0;           // 0: the file is the document
};

// Documents one after another in one file; done by one thread.
struct Batch {
  std::shared_ptr<const MappedFile> file;
  std::string name;
  std::vector<Document> documents;
  std::size_t bytes = 0;

  std::vector<TokenId> tokens;
  std::vector<std::size_t> ends;  // of each document in `tokens`
  std::int64_t empty = 0;
  std::exception_ptr error;
  bool done = false;
};
using BatchPointer = std::shared_ptr<Batch>;

std::string_view as_text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// The files' documents in batches, in order.
class Reader {
 public:
  explicit Reader(const TokenizeJob& job) : job_(job) {}

  BatchPointer next() {
    while (at_ == text_.size()) {
      if (file_index_ == job_.files.size()) return nullptr;
      const fs::path& path = job_.files[file_index_++];
      name_ = path.string();
      file_ = std::make_shared<const MappedFile>(path);
      text_ = as_text(*file_);
      at_ = 0, line_ = 0;
      if (job_.documents == TokenizeJob::Documents::files) return whole_file();
    }
    auto batch = std::make_shared<Batch>();
    batch->file = file_, batch->name = name_;
    const std::size_t begin = at_;
    while (at_ < text_.size() && at_ - begin < kBatch) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      std::string_view line = text_.substr(at_, end - at_);
      if (line.ends_with('\r')) line.remove_suffix(1);
      batch->documents.push_back({line, ++line_});
      at_ = std::min(end + 1, text_.size());
    }
    batch->bytes = at_ - begin;
    return batch;
  }

 private:
  BatchPointer whole_file() {
    auto batch = std::make_shared<Batch>();
    batch->file = file_, batch->name = name_;
    batch->documents.push_back({text_});
    batch->bytes = at_ = text_.size();
    return batch;
  }

  const TokenizeJob& job_;
  std::size_t file_index_ = 0;
  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 0;
};

std::string text_of_json(const Document& document, const std::string& key, const std::string& name) {
  const Mark mark{name, document.line, 1};
  Json json;
  try {
    json = parse_json(document.text, name);
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), error.hint(), {name, document.line, std::max(error.mark().column, 1)});
  }
  if (!json.is_object()) fail(mark, "expected a JSON object in each line");
  const auto found = json.find(key);
  if (found == json.end())
    throw Error(ExitCode::bad_input, fmt::format("there is no '{}'", key), "--key names another field", mark);
  if (!found->is_string()) fail(mark, "'{}' is no text", key);
  return found->get<std::string>();
}

// The work of one thread.
class Worker {
 public:
  explicit Worker(const TokenizeJob& job) : job_(job), encoder_(job.tokenizer->encoder()) {}

  void work(Batch& batch) {
    for (const Document& document : batch.documents) {
      const std::size_t before = batch.tokens.size();
      encode(document, batch);
      if (batch.tokens.size() == before) {
        ++batch.empty;
        continue;
      }
      if (job_.end) batch.tokens.push_back(*job_.end);
      batch.ends.push_back(batch.tokens.size());
    }
  }

 private:
  void encode(const Document& document, Batch& batch) {
    const bool is_json = job_.documents == TokenizeJob::Documents::json_lines;
    if (is_json && document.text.find_first_not_of(" \t") == std::string_view::npos) return;
    const std::string text = is_json ? text_of_json(document, job_.key, batch.name) : "";
    try {
      encoder_->encode(is_json ? std::string_view(text) : document.text, batch.name, batch.tokens);
    } catch (const Error& error) {
      if (document.line == 0) throw;
      const int column = is_json ? 1 : std::max(error.mark().column, 1);
      throw Error(error.code(), error.message(), error.hint(), {batch.name, document.line, column});
    }
  }

  const TokenizeJob& job_;
  std::unique_ptr<Encoder> encoder_;
};

// Threads that take batches as they come; batches leave in the order in which they came.
class Line {
 public:
  explicit Line(const TokenizeJob& job) {
    for (int i = 0; i < job.threads; ++i) threads_.emplace_back([this, &job] { run(job); });
  }
  ~Line() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void put(const BatchPointer& batch) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(batch);
    all_.push_back(batch);
    changed_.notify_all();
  }
  std::size_t size() const { return all_.size(); }  // of the thread that puts and takes

  BatchPointer take() {
    std::unique_lock lock(mutex_);
    BatchPointer batch = all_.front();
    changed_.wait(lock, [&] { return batch->done; });
    all_.pop_front();
    return batch;
  }

 private:
  void run(const TokenizeJob& job) {
    std::unique_ptr<Worker> worker;
    for (;;) {
      BatchPointer batch;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        batch = waiting_.front();
        waiting_.pop_front();
      }
      try {
        if (!worker) worker = std::make_unique<Worker>(job);
        worker->work(*batch);
      } catch (...) {
        batch->error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        batch->done = true;
      }
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<BatchPointer> waiting_, all_;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

std::int64_t total_bytes(const std::vector<fs::path>& files) {
  std::int64_t total = 0;
  for (const fs::path& file : files) {
    std::error_code error;
    if (const auto size = fs::file_size(file, error); !error) total += static_cast<std::int64_t>(size);
  }
  return total;
}

}  // namespace

TokenizeResult tokenize_files(const TokenizeJob& job, const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const std::int64_t total = total_bytes(job.files);
  IndexedWriter writer(job.prefix, type_for(job.tokenizer->vocab()));
  TokenizeResult result;
  Reader reader(job);
  Line line(job);
  const std::size_t most = kBatchesAhead * static_cast<std::size_t>(job.threads);
  for (BatchPointer batch = reader.next(); batch || line.size() > 0;) {
    if (batch && line.size() < most) {
      line.put(batch);
      batch = reader.next();
      continue;
    }
    const BatchPointer done = line.take();
    if (done->error) std::rethrow_exception(done->error);
    std::size_t begin = 0;
    for (const std::size_t end : done->ends) {
      writer.add(std::span(done->tokens).subspan(begin, end - begin));
      begin = end;
    }
    result.empty += done->empty;
    result.bytes += static_cast<std::int64_t>(done->bytes);
    progress(result.bytes, total);
  }
  result.documents = writer.documents();
  result.tokens = writer.tokens();
  if (result.documents == 0)
    throw Error(ExitCode::bad_input,
                fmt::format("no text in '{}'{}", job.files.front().string(),
                            job.files.size() == 1 ? "" : fmt::format(" and {} other files", job.files.size() - 1)));
  writer.commit();
  return result;
}

}  // namespace trellis::data
