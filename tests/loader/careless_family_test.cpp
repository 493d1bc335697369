// A family that says something wrong of its layers is refused before anything is trained, searched or written.
#include <doctest/doctest.h>

#include "loader/command_line.h"
#include "loader/temporary_folder.h"

namespace trellis {
namespace {

namespace fs = std::filesystem;
using testing::has;
using testing::Outcome;
using testing::TemporaryFolder;

struct Careless {
  Careless() {
    folder.plugin("careless", "careless", "models");
    folder.write("run.yaml", "model: {use: careless}\ndata: {files: text}\ntrain: {steps: 1, batch: 4}\noutput: trained\n");
    folder.write("no_data.yaml", "model: {use: careless, mistake: field}\ntrain: {steps: 1, batch: 4}\n");
    folder.write("text/a.txt", std::string(4000, 'a'));
  }
  // In the folder, where output and export are to be.
  Outcome trellis(const std::string& arguments) const {
    return testing::trellis("--plugins . " + arguments, folder.path());
  }
  void refused(const std::string& arguments, int code, const std::string& message, const std::string& hint) const {
    CAPTURE(arguments);
    const Outcome outcome = trellis(arguments);
    CHECK(outcome.code == code);
    has(outcome, message);
    has(outcome, hint);
    for (const char* file : {"trained", "runs", "weights", "plan.yaml"}) CHECK_FALSE(fs::exists(folder.path() / file));
  }
  TemporaryFolder folder;
};

const std::string kDefect = "a defect of the plugin; trellis plugins check careless";

TEST_CASE("an export without a parameter in the family's weight map is refused before training, with its name") {
  const std::string message = "export: weights: parameter 'layers.1.up.bias' is in no tensor";
  const std::string hint = "add it to the family's WeightMap (PublicWeights::map); " + kDefect;
  for (const char* verb : {"train", "run"})
    Careless().refused(std::string(verb) + " run.yaml --nproc 1 model.mistake=map export=weights", 5, message, hint);
}

TEST_CASE("a family that fails while it maps or names its weights is refused before training") {
  Careless().refused("train run.yaml --nproc 1 model.mistake=throws export=weights", 5,
                     "export: model 'careless' threw: map::at", kDefect);
  Careless().refused("train run.yaml --nproc 1 model.mistake=config export=weights", 5,
                     "export: the config.json of model 'careless' is no JSON object with a model_type", kDefect);
}

// The weights come from a training.
TEST_CASE("weights are not read by a map that lacks a parameter, by train or import or export" *
          doctest::skip(!RUN_SIDE_IS_BUILT)) {
  const Careless careless;
  REQUIRE(careless.trellis("train run.yaml --nproc 1 output=first export=good").code == 0);
  REQUIRE(careless.trellis("import good --out model.yaml").code == 0);
  const std::string message = "weights: parameter 'layers.1.up.bias' is in no tensor";
  careless.refused("train run.yaml --nproc 1 weights=good model.mistake=map", 5, message, kDefect);
  careless.refused("export model.yaml --out weights model.mistake=map", 5, message, kDefect);
}

TEST_CASE("a batch field that no data has is refused where the run names data, with those that there are") {
  const Careless careless;
  const std::string message = "model 'careless' reads the batch field 'idz', which no data has";
  for (const char* verb : {"search run.yaml --nproc 1 --out plan.yaml", "verify run.yaml --random 1 --ranks 1",
                           "train run.yaml --nproc 1", "run run.yaml --nproc 1", "train no_data.yaml --nproc 1"})
    careless.refused(std::string(verb) + " model.mistake=field", 8, message,
                     "did you mean 'ids'? data has decoder_ids, ids, labels, mask, next_sentence_labels, patches, "
                     "positions, segments; without data (data=null) the model can be planned and verified");
}

TEST_CASE("without data such a model is searched for, with a warning, and not trained") {
  const Careless careless;
  for (const char* run : {"no_data.yaml", "run.yaml data=null model.mistake=field"}) {
    const Outcome search = careless.trellis(fmt::format("search {} --nproc 1", run));
    CHECK(search.code == 0);
    has(search, "it cannot be trained: no data has the batch field 'idz'; did you mean 'ids'?");
  }
}

TEST_CASE("check passes a right family, whose config.json says its type without being asked to") {
  const TemporaryFolder folder;
  const Outcome outcome = testing::trellis("plugins check " + folder.copy_fake("careless", "fake.so").string());
  CHECK(outcome.code == 0);
  has(outcome, "and a config.json that says so ok");
}

}  // namespace
}  // namespace trellis
