#include "plan/run/read_data_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/run/read_image_section.h"
#include "plan/run/values.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using namespace values;

std::vector<std::string> read_paths(const Options& options, std::string_view key) {
  std::vector<std::string> paths;
  for (const std::string& file : options.get(std::string(key), std::vector<std::string>{})) {
    if (file.empty()) options.reject(key, "an empty name");
    paths.push_back(path_beside(options.mark(key), file).lexically_normal().string());
  }
  return paths;
}

std::vector<DataPart> read_sources(const Options& data) {
  std::vector<DataPart> sources;
  if (!data.has("sources")) return sources;
  if (data.has("files"))
    data.reject("files", "the section has sources, too", "a source has files of its own: move them there");
  for (const Options& source : data.list("sources")) {
    DataPart part;
    part.files = read_paths(source, "files");
    part.mark = source.mark("files");
    if (part.files.empty()) source.reject("files", "required, and not given");
    part.weight = positive(source, "weight", source.required<double>("weight"));
    source.finish();
    sources.push_back(std::move(part));
  }
  if (sources.empty()) data.reject("sources", "an empty list", "write sources: [{files: a.txt, weight: 0.7}, ...]");
  return sources;
}

void read_label_names(const Options& options, DataSection& data) {
  data.labels = options.get("labels", data.labels);
  for (std::size_t i = 0; i < data.labels.size(); ++i)
    if (std::find(data.labels.begin(), data.labels.begin() + static_cast<std::ptrdiff_t>(i), data.labels[i]) !=
        data.labels.begin() + static_cast<std::ptrdiff_t>(i))
      options.reject("labels", fmt::format("'{}' is named twice", data.labels[i]));
}

void read_labels(const Options& options, DataSection& data) {
  data.text_key = options.get("text", data.text_key);
  data.label_key = options.get("label", data.label_key);
  read_label_names(options, data);
  data.held_out_files = read_paths(options, "held_out_files");
  data.held_out_mark = options.mark("held_out_files");
  if (!data.held_out_files.empty() && options.has("held_out"))
    options.reject("held_out", "the section has held_out_files, too", "leave one of them out");
}

constexpr std::int64_t kMostSentinels = 1 << 20;

// What is to be told of text, and what it is read from.
void read_text_task(const Options& options, DataSection& data) {
  const bool spans = data.use == "span_corruption", labelled = data.use == "labelled_text";
  if (labelled || data.use == "sentence_pairs") {
    data.cls_token = options.get("cls_token", "");
    data.sep_token = options.get("sep_token", "");
  }
  std::vector<std::string> formats{"text", "indexed"};
  if (data.use == "indexed") formats = {"indexed"};
  if (labelled) formats = {"text"};
  data.format = formats[word(options, "format", formats)];
  if (labelled) return read_labels(options, data);
  if (data.is_masked() || spans) data.mask_share = positive(options, "mask_share", share(options, "mask_share", data.mask_share));
  if (data.is_masked()) {
    data.mask_token = options.get("mask_token", "");
    data.whole_words = options.get("whole_words", data.whole_words);
  }
  if (!spans) return;
  data.mean_span = options.get("mean_span", data.mean_span);
  if (!(data.mean_span >= 1) || !std::isfinite(data.mean_span))
    options.reject("mean_span", fmt::format("expected 1 or more tokens, found {}", data.mean_span));
  data.sentinels = at_least<std::int64_t>(options, "sentinels", 1, options.get("sentinels", data.sentinels));
  if (data.sentinels > kMostSentinels)
    options.reject("sentinels", fmt::format("expected at most {}, found {}", kMostSentinels, data.sentinels));
}

}  // namespace

DataSection read_data_section(const Options& document) {
  const Options options = document.section("data").with_owner("section 'data'");
  DataSection data;
  const std::vector<std::string> uses{"text", "indexed", "masked_text", "span_corruption", "sentence_pairs",
                                      "labelled_text", "images", "idx"};
  data.use = uses[word(options, "use", uses)];
  if (data.is_images()) {
    data.held_out = share(options, "held_out", data.held_out);
    data.image = read_image_section(options, data.use);
    if (data.use == "images") read_label_names(options, data);
    data.tokenizer.clear();
    data.mark = options.mark(data.use == "images" ? "folder" : "images");
    options.finish();
    return data;
  }
  read_text_task(options, data);
  if (data.is_indexed() && !data.is_next_token() && !options.has("tokenizer"))
    options.reject("tokenizer", "required, and not given", "indexed files do not say which one made them: byte, or a path");
  data.tokenizer = options.get("tokenizer", data.is_indexed() ? "" : data.tokenizer);
  data.tokenizer_mark = options.mark("tokenizer");
  if (options.has("tokenizer") && data.tokenizer.empty())
    options.reject("tokenizer", "expected byte or a path, found nothing");
  if (!data.tokenizer.empty() && data.tokenizer != "byte")
    data.tokenizer = path_beside(data.tokenizer_mark, data.tokenizer).lexically_normal().string();
  data.end_of_document = options.get("end_of_document", "");
  data.restart_positions = options.get("restart_positions", data.restart_positions);
  if (data.restart_positions && !data.is_next_token() && data.use != "masked_text")
    options.reject("restart_positions", fmt::format("samples of {} have no positions that could begin anew", data.use));
  if (data.restart_positions && data.tokenizer.empty())
    options.reject("restart_positions", "the token that ends documents is not known",
                   "name the tokenizer of the indexed files");
  data.held_out = share(options, "held_out", data.held_out);
  data.written_files = options.get("files", std::vector<std::string>{});
  data.files = read_paths(options, "files");
  data.sources = read_sources(options);
  data.mark = options.mark(data.sources.empty() ? "files" : "sources");
  options.finish();
  return data;
}

}  // namespace trellis
