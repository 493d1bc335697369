#include "run/train/trainer.h"

#include <ATen/core/Tensor.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/paths.h"
#include "trellis/plan/files.h"

using namespace trellis;
using namespace trellis::train;

namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trellis-train-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    std::string text;
    for (int i = 0; i < 200; ++i) text += fmt::format("{} green bottles hanging on the wall\n", 200 - i);
    write_file_atomically(path_ / "song.txt", text);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

  std::string train = "steps: 12, batch: 8, learning_rate: 1e-2, warmup: 2";

  // `data` may have options, too: "masked_text, mask_share: 20%".
  RunFile run(const std::string& parallelism, const std::string& family = "gpt", const std::string& data = "text") const {
    const int vocab = family.find("task: ") == std::string::npos ? 258 : 259;  // bytes, the end, a mask; and [CLS]
    const bool has_files = data.find("sources: ") != std::string::npos;
    const std::string files = has_files ? "" : fmt::format("files: [{}/song.txt], ", path_.string());
    return RunFile::read(Options::from_text(fmt::format(R"(
output: {0}/out
seed: 5
model: {{use: {2}, hidden: 32, layers: 2, heads: 2, vocab: {4}, sequence: 16}}
data: {{use: {3}, {5}held_out: 10%}}
train: {{{6}, evaluate_every: 6, evaluate_batches: 2, check: on}}
parallelism: {{uniform: {1}}}
)",
                                                        path_.string(), parallelism, family, data, vocab,
                                                        files, train),
                                            "song.yaml"));
  }

 private:
  fs::path path_;
};

const Catalog& catalog() {
  static const std::vector<fs::path> folders = {testing::build_dir() / "plugins"};
  static const Catalog all = Catalog::of(folders);
  return all;
}

// The same samples, of which one kind of labels counts alone.
class OneTerm final : public DataSource {
 public:
  OneTerm(const DataSource& of, std::string labels) : of_(of), labels_(std::move(labels)) {}
  std::int64_t batch() const override { return of_.batch(); }
  at::Tensor field(const FieldRequest& request) const override {
    at::Tensor result = of_.field(request);
    if (request.name.ends_with("labels") && request.name != labels_) result.fill_(-1);
    return result;
  }
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override {
    return labels == labels_ ? of_.counted_items(step, labels) : 0;
  }

 private:
  const DataSource& of_;
  std::string labels_;
};

// Trains on so many ranks, and returns result.json.
nlohmann::json train_on(const Folder& folder, const std::string& parallelism, int ranks, const std::string& family = "gpt",
                        const std::string& data = "text") {
  run_threads(ranks, /*in_memory=*/true, [&](CommWorld& world) {
    const TrainRequest request{.run = folder.run(parallelism, family, data), .catalog = &catalog(), .quiet = true};
    Trainer(request, world).run();
  });
  return nlohmann::json::parse(read_file(folder / "out/result.json"));
}

}  // namespace

TEST_CASE("a run learns, and leaves its plan, its metrics and its result") {
  const Folder folder;
  const nlohmann::json result = train_on(folder, "{}", 1);
  CHECK(result["steps"] == 12);
  CHECK(result["ranks"] == 1);
  CHECK(result["losses"].size() == 12);
  CHECK(result["losses"][0] == doctest::Approx(5.55).epsilon(0.02));  // ln 258
  CHECK(result["final_loss"] < 4.5);
  CHECK(result["held_out_losses"].size() == 2);
  CHECK(result["held_out_loss"] < 4.5);
  CHECK(result["held_out_accuracy"] > 0.05);  // a space is 0.17 of the text
  CHECK(result["held_out_accuracy"] < 1);
  CHECK(result["unigram_entropy"] == doctest::Approx(2.755091424866043));
  const std::string metrics = read_file(folder / "out/metrics.jsonl");
  CHECK(std::count(metrics.begin(), metrics.end(), '\n') == 14);
  CHECK(RunFile::load(folder / "out/run.yaml").train.steps == 12);
  CHECK(devices_of_plan(folder / "out/plan.yaml") == 1);
}

TEST_CASE("the losses of a run do not depend on its plan") {
  const Folder folder;
  const nlohmann::json alone = train_on(folder, "{}", 1);
  for (const char* uniform : {"{zero: {stage: 2}, micro_batches: 2}", "{tp: {degree: 2}, megatron_sp: on}",
                              "{pp: {degree: 2}, micro_batches: 4}"}) {
    const nlohmann::json other = train_on(folder, uniform, 2);
    CAPTURE(uniform);
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(other["losses"][i].get<double>() == doctest::Approx(alone["losses"][i].get<double>()).epsilon(1e-3));
    CHECK(other["held_out_loss"].get<double>() == doctest::Approx(alone["held_out_loss"].get<double>()).epsilon(1e-3));
    CHECK(other["held_out_accuracy"].get<double>() == doctest::Approx(alone["held_out_accuracy"].get<double>()).epsilon(0.05));
  }
}

TEST_CASE("bert learns to restore masked text, the same under any plan") {
  const Folder folder;
  const nlohmann::json alone = train_on(folder, "{}", 1, "bert", "masked_text");
  CHECK(alone["losses"][0] == doctest::Approx(5.55).epsilon(0.02));  // ln 258
  CHECK(alone["final_loss"] < 4.5);
  CHECK(alone["held_out_loss"] < 4.5);
  for (const char* uniform : {"{zero: {stage: 3}, micro_batches: 2}", "{ulysses: {degree: 2}}", "{pp: {degree: 2}, micro_batches: 4}"}) {
    const nlohmann::json other = train_on(folder, uniform, 2, "bert", "masked_text");
    CAPTURE(uniform);
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(other["losses"][i].get<double>() == doctest::Approx(alone["losses"][i].get<double>()).epsilon(1e-3));
    CHECK(other["held_out_loss"].get<double>() == doctest::Approx(alone["held_out_loss"].get<double>()).epsilon(1e-3));
  }
}

TEST_CASE("t5 learns to tell what was cut out of text, the same under any plan") {
  const Folder folder;
  const std::string family = "t5, target: 6, head_dim: 16, ffn: 64", data = "span_corruption, sentinels: 1";
  const nlohmann::json alone = train_on(folder, "{}", 1, family, data);
  CHECK(alone["losses"][0] < 7.0);
  CHECK(alone["final_loss"] < 4.0);
  CHECK(alone["held_out_loss"] < 4.0);
  // 17 tokens, 3 of them told behind one sentinel and before the end
  const double entropy = 0.6 * (2.755091424866043 - std::log(0.6)) + 0.4 * std::log(5.0);
  CHECK(alone["unigram_entropy"] == doctest::Approx(entropy));
  for (const char* uniform : {"{zero: {stage: 3}, micro_batches: 2}", "{ulysses: {degree: 2}}", "{pp: {degree: 2}, micro_batches: 4}"}) {
    const nlohmann::json other = train_on(folder, uniform, 2, family, data);
    CAPTURE(uniform);
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(other["losses"][i].get<double>() == doctest::Approx(alone["losses"][i].get<double>()).epsilon(1e-3));
    CHECK(other["held_out_loss"].get<double>() == doctest::Approx(alone["held_out_loss"].get<double>()).epsilon(1e-3));
  }
}

TEST_CASE("bert learns masked tokens and which sentences follow, and its held-out loss is that of all batches together") {
  const Folder folder;
  const std::string family = "bert, task: pretraining", data = "sentence_pairs";
  const nlohmann::json alone = train_on(folder, "{}", 1, family, data);
  CHECK(alone["losses"][0] == doctest::Approx(5.55 + 0.69).epsilon(0.03));  // ln 258 + ln 2
  CHECK(alone["final_loss"] < 5.2);
  for (const char* uniform : {"{zero: {stage: 2}, micro_batches: 2}", "{pp: {degree: 2}, micro_batches: 4}"}) {
    const nlohmann::json other = train_on(folder, uniform, 2, family, data);
    CAPTURE(uniform);
    for (std::size_t i = 0; i < 12; ++i)
      CHECK(other["losses"][i].get<double>() == doctest::Approx(alone["losses"][i].get<double>()).epsilon(1e-3));
    CHECK(other["held_out_loss"].get<double>() == doctest::Approx(alone["held_out_loss"].get<double>()).epsilon(1e-3));
  }
}

TEST_CASE("batches are evaluated as one: each term of the loss by its own count in all of them") {
  const Folder folder;
  const RunFile run = folder.run("{micro_batches: 2}", "bert, task: pretraining", "sentence_pairs");
  const TrainRequest request{.run = run, .catalog = &catalog(), .quiet = true};
  const auto world = single_rank();
  Setup setup(request, *world);
  const DataSource& data = *setup.samples.held_out;
  REQUIRE(setup.samples.held_out_steps == 3);  // of 8, 8 and 4 samples
  double expected = 0;
  for (const char* term : {"labels", "next_sentence_labels"}) {
    const OneTerm alone(data, term);
    double sum = 0, count = 0;
    for (std::int64_t step = 0; step < 3; ++step) {
      const auto counted = static_cast<double>(data.counted_items(step, term));
      sum += counted * setup.executor->evaluate(alone, step, step + 1).loss;
      count += counted;
    }
    expected += sum / count;
  }
  const Evaluation all = setup.executor->evaluate(data, 0, 3);
  CHECK(all.loss == doctest::Approx(expected).epsilon(1e-6));
  CHECK_FALSE(all.accuracy);  // of two terms
}

TEST_CASE("bert learns labels of texts, the same under any plan") {
  Folder folder;
  folder.train = "steps: 100, batch: 16, learning_rate: 2e-3, warmup: 20";
  std::string table = "text\tlabel\n";
  for (int i = 0; i < 400; ++i) table += fmt::format("{} {}\t{}\n", i % 2 == 0 ? "yes" : "no", i, i % 2);
  write_file_atomically(folder / "table.tsv", table);
  const std::string family = "bert, task: classification, classes: 2";
  const std::string data = fmt::format("labelled_text, sources: [{{files: {}, weight: 1}}]", (folder / "table.tsv").string());
  const nlohmann::json alone = train_on(folder, "{}", 1, family, data);
  CHECK(alone["losses"][0] == doctest::Approx(0.69).epsilon(0.02));
  CHECK(alone["held_out_loss"] < 0.1);
  CHECK(alone["held_out_accuracy"] == 1);
  CHECK(alone["held_out_losses"].back()["accuracy"] == 1);
  CHECK(alone["unigram_entropy"] == doctest::Approx(std::log(2)).epsilon(1e-3));
  const nlohmann::json other = train_on(folder, "{pp: {degree: 2}, micro_batches: 4}", 2, family, data);
  CHECK(other["held_out_accuracy"] == 1);
  for (std::size_t i = 0; i < 20; ++i)
    CHECK(other["losses"][i].get<double>() == doctest::Approx(alone["losses"][i].get<double>()).epsilon(1e-2));
}

TEST_CASE("a model whose fields the data does not have is refused before it trains") {
  const Folder folder;
  const auto error = [&](const std::string& family, const std::string& data) -> std::string {
    const TrainRequest request{.run = folder.run("{}", family, data), .catalog = &catalog(), .quiet = true};
    try {
      Trainer(request, *single_rank());
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  };
  CHECK(error("bert", "text") == "data: training text: data 'text' has no field 'mask', which the model reads");
  CHECK(error("gpt", "masked_text") == "no error");
  CHECK(error("gpt", "span_corruption, sentinels: 1") == "data: span_corruption: the model reads no sequence 'decoder_ids'");
  CHECK(error("bert", "sentence_pairs") ==
        "model.vocab: 258 tokens are fewer than the byte tokenizer has, and those to begin a sample: 259");
  CHECK(error("bert, task: pretraining, segments: 1", "sentence_pairs") ==
        "data: sentence pairs: the model knows one kind of segment, and a pair has two");
  CHECK(error("bert", "labelled_text") ==
        "data 'labelled_text' has a label for each text, and the model reads one for each token");
  const std::string t5 = "t5, target: 4, head_dim: 16";
  CHECK(error(t5, "text") == "data: training text: data 'text' has no field 'decoder_ids', which the model reads");
  CHECK(error(t5, "span_corruption") ==
        "model.vocab: 258 tokens are fewer than the byte tokenizer and 100 sentinels have: 357");
  CHECK(error("t5, target: 2, head_dim: 16", "span_corruption, sentinels: 1") ==
        "data: span_corruption: sequences of 16 and 2 tokens hold no sample: a text of two tokens takes 3 of each");
  CHECK(error("t5, target: 12, head_dim: 16", "span_corruption, sentinels: 1, mask_share: 40%, mean_span: 1.5") ==
        "data: span_corruption: a sample has 4 spans, and there are 1 sentinels");
}

TEST_CASE("a run whose model does not fit its text is refused with the fix") {
  const Folder folder;
  const auto error = [&](std::string_view key, std::string_view value) -> std::string {
    const RunFile run = folder.run("{}");
    Options document = Options::from_text(run.document.to_yaml(), "song.yaml");
    document.set(key, value);
    const TrainRequest request{.run = RunFile::read(document), .catalog = &catalog(), .quiet = true};
    try {
      Trainer(request, *single_rank());
    } catch (const Error& error) {
      return error.message() + " | " + error.hint();
    }
    return "no error";
  };
  CHECK(error("model.vocab", "100") ==
        "model.vocab: 100 tokens are fewer than the byte tokenizer has: 257 | set model.vocab=257");
  CHECK(error("model.sequence", "100000") ==
        "data: training text: a sample has 100001 tokens, and there are only 6744 | more text, or a shorter sequence");
}
