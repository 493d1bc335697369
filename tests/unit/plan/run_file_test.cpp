#include "support/error_of.h"
#include "trellis/plan/run_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "trellis/plan/files.h"

using namespace trellis;

namespace {

RunFile read(std::string_view text) { return RunFile::read(Options::from_text(text, "runs/a.yaml")); }

using trellis::test::error_of;

// The error of a run file with this section or key besides its model.
std::string error_with(std::string_view text) {
  return error_of([&] { read(fmt::format("model: {{use: gpt}}\n{}\n", text)); });
}

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "trellis-run-file-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("a run file has defaults for all but the model") {
  const RunFile run = read("model: {use: gpt, layers: 2}\n");
  CHECK(run.name == "a");
  CHECK(run.seed == 0);
  CHECK(run.output == "runs/a");
  CHECK(run.model.use == "gpt");
  CHECK(run.model.options.required<int>("layers") == 2);
  CHECK(run.data.use == "text");
  CHECK(run.data.held_out == 0.05);
  CHECK_FALSE(run.train.steps.has_value());
  CHECK(run.train.learning_rate == 3e-4);
  CHECK(run.train.min_learning_rate == doctest::Approx(3e-5));
  CHECK(run.train.dtype == Dtype::f32);
  CHECK_FALSE(run.devices.count.has_value());
  CHECK(run.parallelism.plan.empty());
  CHECK(run.search.algorithm.use.empty());
}

TEST_CASE("every section of a run file is read") {
  const RunFile run = read(R"(
name: tiny
seed: 7
output: out/tiny
model: {use: gpt, hidden: 64}
data: {use: text, files: [text/*.md, /corpus], tokenizer: byte, held_out: 10%}
train: {steps: 100, batch: 16, learning_rate: 1e-3, min_learning_rate: 1e-5, warmup: 10, schedule: linear, weight_decay: 0.2,
        beta1: 0.8, beta2: 0.99, eps: 1e-6, clip: 0, dtype: bf16, evaluate_every: 50, evaluate_batches: 4, log_every: 5, check: on}
devices: {count: 4, kind: cuda, memory: 4GiB, threads: 2, timeout: 90s, interface: eth0}
parallelism: {uniform: {tp: {degree: 2}, micro_batches: 2}}
search: {use: exhaustive, micro_batches: [1, 2, 4], budget: 3GiB, margin: 10%, depth: 3}
profile: {repeats: 5}
)");
  CHECK(run.name == "tiny");
  CHECK(run.seed == 7);
  CHECK(run.output == "out/tiny");
  CHECK(run.data.files == std::vector<std::string>{"runs/text/*.md", "/corpus"});
  CHECK(run.data.held_out == doctest::Approx(0.1));
  CHECK(run.train.steps == 100);
  CHECK(run.train.batch == 16);
  CHECK(run.train.schedule == LearningRateSchedule::linear);
  CHECK(run.train.clip == 0);
  CHECK(run.train.dtype == Dtype::bf16);
  CHECK(run.train.check);
  CHECK(run.devices.count == 4);
  CHECK(run.devices.kind == "cuda");
  CHECK(run.devices.memory == std::vector{4_GiB});
  CHECK(run.devices.timeout == 90_s);
  CHECK(run.parallelism.uniform.section("tp").required<int>("degree") == 2);
  CHECK(run.search.algorithm.use == "exhaustive");
  CHECK(run.search.micro_batches == std::vector<int>{1, 2, 4});
  CHECK(run.search.budget == std::vector{3_GiB});
  CHECK(run.search.margin == doctest::Approx(0.1));
  CHECK(run.search.algorithm.options.required<int>("depth") == 3);
  CHECK(run.profile.required<int>("repeats") == 5);
}

TEST_CASE("the memory of devices is one for all, a list, or a mapping of ranges") {
  const auto memory = [](const std::string& yaml) { return read("model: {use: gpt}\ndevices: {memory: " + yaml + "}\n").devices.memory; };
  CHECK(memory("80GiB") == std::vector{80_GiB});
  CHECK(memory("[80GiB, 80GiB, 40GiB, 512MiB]") == std::vector{80_GiB, 80_GiB, 40_GiB, 512_MiB});
  CHECK(memory("{0-1: 80GiB, 2: 40GiB, 3: 512MiB}") == std::vector{80_GiB, 80_GiB, 40_GiB, 512_MiB});
  CHECK(memory("{\"0,2\": 80GiB, 1: 40GiB}") == std::vector{80_GiB, 40_GiB, 80_GiB});
  CHECK(read("model: {use: gpt}\nsearch: {use: exact, budget: {0: 2GiB, 1: 1GiB}}\n").search.budget ==
        std::vector{2_GiB, 1_GiB});
  CHECK(read("model: {use: gpt}\n").devices.memory.empty());

  CHECK(error_with("devices: {memory: []}").find("devices.memory: an empty list") != std::string::npos);
  CHECK(error_with("devices: {memory: {}}").find("devices.memory: an empty mapping") != std::string::npos);
  CHECK(error_with("devices: {memory: [80GiB, 0]}").find("expected at least 1 B, found 0 B") != std::string::npos);
  CHECK(error_with("devices: {memory: {0-3: 0}}").find("devices.memory.0-3: expected at least 1 B") != std::string::npos);
  CHECK(error_with("devices: {memory: {0-3: 80GiB, 3: 40GiB}}").find("devices.memory.3: device 3 is named twice") !=
        std::string::npos);
  CHECK(error_with("devices: {memory: {0-1: 80GiB, 3: 40GiB}}").find("devices.memory: device 2 is missing") !=
        std::string::npos);
  CHECK(error_with("devices: {memory: {all: 80GiB}}").find("expected a range") != std::string::npos);
  CHECK(error_with("devices: {memory: {0-99999999999: 80GiB}}").find("expected devices below 1048576") !=
        std::string::npos);
  CHECK(error_with("devices: {memory: [80GiB, 40]}").find("add a unit") != std::string::npos);
}

TEST_CASE("what a run file says wrongly is told with its place and the likely fix") {
  CHECK(error_of([] { read("name: x\n"); }) ==
        "runs/a.yaml:1:1: model: required, and not given\n    write model: {use: gpt, ...}");
  CHECK(error_with("trian: {steps: 3}") ==
        "runs/a.yaml:2:8: trian: unknown section of a run file\n    did you mean 'train'?");
  CHECK(error_with("train: {stpes: 3}") ==
        "runs/a.yaml:2:9: train.stpes: unknown option of section 'train'\n    did you mean 'steps'?");
  CHECK(error_with("train: {dtype: fp32}") ==
        "runs/a.yaml:2:16: train.dtype: expected f32 or bf16 or f64, found 'fp32'\n    did you mean 'f32'?");
  CHECK(error_with("train: {steps: 0}") == "runs/a.yaml:2:16: train.steps: expected at least 1, found 0");
  CHECK(error_with("train: {beta2: 1.0}") == "runs/a.yaml:2:16: train.beta2: expected 0 or more, less than 1, found 1");
  CHECK(error_with("train: {learning_rate: 1e-4, min_learning_rate: 1e-3}") ==
        "runs/a.yaml:2:49: train.min_learning_rate: 0.001 is more than learning_rate, which is 0.0001");
  CHECK(error_with("data: {held_out: 5 percent}") ==
        "runs/a.yaml:2:18: data.held_out: expected a share like 5% or 0.05, found '5 percent'");
  CHECK(error_with("data: {tokenizer: ''}") == "runs/a.yaml:2:19: data.tokenizer: expected byte or a path, found nothing");
  CHECK(error_with("data: {use: pictures}") ==
        "runs/a.yaml:2:13: data.use: expected text or indexed or masked_text or span_corruption or sentence_pairs or labelled_text "
        "or images or idx, found 'pictures'\n"
        "    known: text, indexed, masked_text, span_corruption, sentence_pairs, labelled_text, images, idx");
  CHECK(error_with("data: {use: span_corruption, mean_span: 0.5}") ==
        "runs/a.yaml:2:41: data.mean_span: expected 1 or more tokens, found 0.5");
  CHECK(error_with("data: {use: span_corruption, sentinels: 0}") ==
        "runs/a.yaml:2:41: data.sentinels: expected at least 1, found 0");
  CHECK(error_with("data: {use: span_corruption, sentinels: 9000000000}") ==
        "runs/a.yaml:2:41: data.sentinels: expected at most 1048576, found 9000000000");
  CHECK(error_with("data: {use: masked_text, mask_share: 0%}") ==
        "runs/a.yaml:2:38: data.mask_share: expected more than 0, found 0");
  CHECK(error_with("data: {use: text, mask_share: 15%}") ==
        "runs/a.yaml:2:19: data.mask_share: unknown option of section 'data'\n"
        "    known: use, format, tokenizer, end_of_document, restart_positions, held_out, files, sources");
  CHECK(error_with("data: {use: labelled_text, restart_positions: on}") ==
        "runs/a.yaml:2:47: data.restart_positions: samples of labelled_text have no positions that could begin anew");
  CHECK(error_with("data: {use: masked_text, format: indexed, files: a}") ==
        "runs/a.yaml:2:7: data.tokenizer: required, and not given\n"
        "    indexed files do not say which one made them: byte, or a path");
  CHECK(error_with("data: {use: labelled_text, format: indexed}") ==
        "runs/a.yaml:2:36: data.format: expected text, found 'indexed'\n    known: text");
  CHECK(error_with("data: {use: indexed, format: text}") ==
        "runs/a.yaml:2:30: data.format: expected indexed, found 'text'\n    known: indexed");
  CHECK(error_with("data: {files: a.txt, sources: [{files: b.txt, weight: 1}]}") ==
        "runs/a.yaml:2:15: data.files: the section has sources, too\n    a source has files of its own: move them there");
  CHECK(error_with("data: {sources: [{files: b.txt, weight: 0}]}") ==
        "runs/a.yaml:2:41: data.sources[0].weight: expected more than 0, found 0");
  CHECK(error_with("data: {sources: [{weight: 1}]}") ==
        "runs/a.yaml:2:18: data.sources[0].files: required, and not given");
  CHECK(error_with("data: {sources: [{files: b.txt}]}") ==
        "runs/a.yaml:2:18: data.sources[0].weight: required, and not given");
  CHECK(error_with("data: {use: indexed, files: a, restart_positions: on}") ==
        "runs/a.yaml:2:51: data.restart_positions: the token that ends documents is not known\n"
        "    name the tokenizer of the indexed files");
  CHECK(error_with("parallelism: {plan: p.yaml, uniform: {tp: {degree: 2}}}") ==
        "runs/a.yaml:2:38: parallelism.uniform: the section has a plan file, too\n"
        "    leave one of them out: a plan says it for every layer");
  CHECK(error_with("parallelism: {unform: {}}") ==
        "runs/a.yaml:2:23: parallelism.unform: unknown option of section 'parallelism'\n    did you mean 'uniform'?");
  CHECK(error_with("search: {micro_batches: [1]}") == "no error");  // exact is the default
  CHECK(error_with("search: {use: x, micro_batches: [0]}") ==
        "runs/a.yaml:2:33: search.micro_batches: expected at least 1, found 0");
  CHECK(error_with("plugins: {path: nowhere}") ==
        "runs/a.yaml:2:17: plugins.path: there is no folder 'runs/nowhere'\n    a path in a file is relative to that "
        "file");
  CHECK(error_with("name: a/b") ==
        "runs/a.yaml:2:7: name: 'a/b' cannot be the name of a folder\n    choose the folder with output");
  CHECK(error_with("seed: -1") == "runs/a.yaml:2:7: seed: expected at least 0, found -1");
}

TEST_CASE("paths are relative to the file that says them, those of overrides to the current folder") {
  const Folder folder;
  std::filesystem::create_directory(folder.path / "base");
  write_file_atomically(folder.path / "base/model.yaml", "model: {use: gpt}\ndata: {files: text}\n");
  write_file_atomically(folder.path / "run.yaml", "base: base/model\nparallelism: {plan: p.yaml}\n");
  const RunFile run = RunFile::load(folder.path / "run.yaml");
  CHECK(run.data.files == std::vector<std::string>{(folder.path / "base/text").string()});
  CHECK(run.parallelism.plan == folder.path / "p.yaml");

  const std::vector<std::string> overrides = {"data.files=[here.txt]", "train.steps=9"};
  const RunFile overridden = RunFile::load(folder.path / "run.yaml", overrides);
  CHECK(overridden.data.files == std::vector<std::string>{"here.txt"});
  CHECK(overridden.train.steps == 9);
}

TEST_CASE("data comes from one part or from several by weight, tokenized here or before") {
  const RunFile text = read(R"(
name: tiny
model: {use: gpt}
data: {files: a.txt, tokenizer: tokens/tokenizer.json, end_of_document: <eod>, restart_positions: on}
)");
  CHECK(text.data.tokenizer == "runs/tokens/tokenizer.json");
  CHECK(text.data.end_of_document == "<eod>");
  CHECK(text.data.restart_positions);
  CHECK(text.data.parts().size() == 1);
  CHECK(text.data.parts().at(0).files == std::vector<std::string>{"runs/a.txt"});
  const RunFile blend = read(R"(
name: tiny
model: {use: gpt}
data:
  use: indexed
  sources:
    - {files: [wiki_a, wiki_b], weight: 0.7}
    - {files: /code, weight: 3}
)");
  CHECK(blend.data.tokenizer.empty());
  const RunFile again = RunFile::read(Options::from_text(blend.resolved(), "/elsewhere/resolved.yaml"));
  const std::string here = std::filesystem::current_path().string();
  for (const RunFile& run : {blend, again}) {
    const std::vector<DataPart> parts = run.data.parts();
    REQUIRE(parts.size() == 2);
    CHECK(std::filesystem::absolute(parts[0].files.at(0)) == here + "/runs/wiki_a");
    CHECK(parts[0].files.size() == 2);
    CHECK(parts[0].weight == 0.7);
    CHECK(parts[1].files == std::vector<std::string>{"/code"});
    CHECK(parts[1].weight == 3);
  }
}

TEST_CASE("labelled texts have columns, names of labels and held-out files of their own") {
  const RunFile run = read(R"(
model: {use: bert}
data: {use: labelled_text, files: train.tsv, text: sentence, label: stars, labels: [one, two], held_out_files: [dev.tsv, /b.tsv], cls_token: "<s>"}
)");
  const RunFile again = RunFile::read(Options::from_text(run.resolved(), "/elsewhere/resolved.yaml"));
  CHECK(run.data.held_out_files == std::vector<std::string>{"runs/dev.tsv", "/b.tsv"});
  CHECK(again.data.held_out_files.at(0) == std::filesystem::current_path().string() + "/runs/dev.tsv");
  CHECK(again.data.text_key == "sentence");
  CHECK(again.data.label_key == "stars");
  CHECK(again.data.labels == std::vector<std::string>{"one", "two"});
  CHECK(again.data.cls_token == "<s>");
}

TEST_CASE("a resolved run file is read back to the same run from any folder") {
  const RunFile run = RunFile::read(Options::from_text(
      "model: {use: gpt, hidden: 64}\ndata: {files: [\"a \\\"b\\\".txt\"]}\nparallelism: {plan: p.yaml}\n"
      "search: {use: uniform, start_from: s.yaml}\nprofile: {cluster: ../c.yaml, file: m.yaml}\n",
      "/x/tiny.yaml"));
  const RunFile again = RunFile::read(Options::from_text(run.resolved(), "/elsewhere/resolved.yaml"));
  CHECK(again.name == "tiny");
  CHECK(again.output == std::filesystem::current_path() / "runs/tiny");
  CHECK(again.data.files == std::vector<std::string>{"/x/a \"b\".txt"});
  CHECK(again.parallelism.plan == "/x/p.yaml");
  CHECK(again.search.algorithm.options.get("start_from", "") == "/x/s.yaml");
  CHECK(again.profile.get("cluster", "") == "/c.yaml");
  CHECK(again.profile.get("file", "") == "/x/m.yaml");
  CHECK(again.model.options.required<int>("hidden") == 64);
}
