#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "run/train/console.h"
#include "run/train/learning_rate.h"
#include "run/train/metrics.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

using namespace trellis;
using namespace trellis::train;

namespace {

TrainSection section(LearningRateSchedule schedule) {
  TrainSection train;
  train.steps = 10;
  train.warmup = 2;
  train.learning_rate = 1;
  train.min_learning_rate = 0.2;
  train.schedule = schedule;
  return train;
}

}  // namespace

TEST_CASE("the learning rate warms up by equal parts and falls along half a cosine to its minimum") {
  const TrainSection train = section(LearningRateSchedule::cosine);
  CHECK(learning_rate(train, 0) == 0.5);
  CHECK(learning_rate(train, 1) == 1.0);
  CHECK(learning_rate(train, 2) == doctest::Approx(0.9695518130045147));
  CHECK(learning_rate(train, 5) == doctest::Approx(0.6));
  CHECK(learning_rate(train, 9) == doctest::Approx(0.2));
  CHECK(learning_rate(train, 1000) == doctest::Approx(0.2));
}

TEST_CASE("the learning rate falls along a line, or stays") {
  CHECK(learning_rate(section(LearningRateSchedule::linear), 3) == doctest::Approx(0.8));
  CHECK(learning_rate(section(LearningRateSchedule::linear), 9) == doctest::Approx(0.2));
  CHECK(learning_rate(section(LearningRateSchedule::constant), 9) == 1.0);
}

TEST_CASE("without warm-up the first step has nearly the whole learning rate") {
  TrainSection train = section(LearningRateSchedule::cosine);
  train.warmup = 0;
  CHECK(learning_rate(train, 0) == doctest::Approx(0.98042));
  train.steps = 1;
  CHECK(learning_rate(train, 0) == doctest::Approx(0.2));
}

TEST_CASE("a step's line of JSON has all figures with plain units") {
  const StepMetrics metrics{.step = 3,
                            .loss = 2.5,
                            .learning_rate = 1e-3,
                            .gradient_norm = 0.5,
                            .seconds = 0.25,
                            .tokens = 1000,
                            .memory_peak = 3_MiB,
                            .memory_predicted = 2_MiB};
  const auto line = nlohmann::json::parse(json_line(metrics));
  CHECK(line["step"] == 3);
  CHECK(line["loss"] == 2.5);
  CHECK(line["learning_rate"] == 1e-3);
  CHECK(line["gradient_norm"] == 0.5);
  CHECK(line["seconds"] == 0.25);
  CHECK(line["tokens_per_second"] == 4000);
  CHECK(line["memory_peak"] == 3145728);
  CHECK(line["memory_predicted"] == 2097152);
  CHECK(json_line(7, Evaluation{1.5, std::nullopt}) == R"({"step":7,"held_out_loss":1.5})");
  CHECK(json_line(7, Evaluation{1.5, 0.75}) == R"({"step":7,"held_out_loss":1.5,"held_out_accuracy":0.75})");
}

TEST_CASE("a log replaces an older one, and says when its disk is full") {
  std::string name = (std::filesystem::temp_directory_path() / "trellis-log-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  for (const char* text : {"old", "new"}) {
    LineFile file(folder / "log");
    file.write(text);
    file.write("end");
  }
  CHECK(read_file(folder / "log") == "new\nend\n");
  std::filesystem::remove_all(folder);

  LineFile full("/dev/full");
  CHECK_THROWS_WITH_AS(full.write("x"), "cannot write '/dev/full': No space left on device", Error);
  CHECK_THROWS_WITH_AS(LineFile("/nowhere/log"), "cannot write '/nowhere/log': No such file or directory", Error);
}

TEST_CASE("time is told as on a clock") {
  CHECK(clock_time(0.2) == "0:00");
  CHECK(clock_time(200) == "3:20");
  CHECK(clock_time(3909) == "1:05:09");
}

TEST_CASE("a run says whether it learned more than frequencies") {
  const data::Baseline base{3.25, "text", "token", "unigram entropy"};
  CHECK(verdict(1.9, Evaluation{2.0, std::nullopt}, base) ==
        "loss on the held-out text: 2.000 nats a token (perplexity 7.39); unigram entropy of the text: 3.250\n"
        "The model learned more than frequencies: 1.250 nats a token below the unigram entropy.");
  CHECK(verdict(1.9, Evaluation{2.0, 0.8125}, base) ==
        "loss on the held-out text: 2.000 nats a token (perplexity 7.39), 81.2 % right; unigram entropy of the text: 3.250\n"
        "The model learned more than frequencies: 1.250 nats a token below the unigram entropy.");
  CHECK(verdict(4.0, std::nullopt, base) ==
        "loss in the last step: 4.000 nats a token (perplexity 54.60); unigram entropy of the text: 3.250\n"
        "The model has not yet learned more than frequencies: 0.750 nats a token above the unigram entropy.");
}
