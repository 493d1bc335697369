#include <doctest/doctest.h>

#include "data/images/image_data.h"
#include "data/samples/run_data.h"
#include "images/support.h"
#include "support/plugins.h"
#include "trellis/plan/run_file.h"

using namespace trellis;
using namespace trellis::data;
using namespace trellis::test;

namespace {

const OpLibrary& ops() {
  static const OpLibrary all;
  return all;
}

// Two classes of gray images of 9 x 6 pixels.
struct Digits {
  Digits() {
    for (const char* name : {"0/a.png", "0/b.png", "1/a.png"}) place("gray.png", folder / "png" / name);
    images = put(folder / "i", idx(0x803, {3, 2, 2}, std::vector<int>(12, 7)));
    labels = put(folder / "l", idx(0x801, {3}, {0, 1, 4}));
  }

  ImageData open(const std::string& data, int channels = 1) const {
    const RunFile run = RunFile::read(Options::from_text(
        fmt::format("model: {{use: vit, image_size: 8, patch_size: 4, channels: {}, hidden: 16, layers: 1, heads: 2, classes: 5}}\n"
                    "data: {}\n",
                    channels, data),
        (folder / "run.yaml").string()));
    const ModelSpec model = describe_model(run, plugins());
    check_data(run, model, ops());
    return open_image_data(run, model);
  }
  // Without the folder's name.
  std::string error(const std::string& data, int channels = 1) const {
    std::string text = error_of([&] { open(data, channels); });
    const std::string name = folder.path().string() + "/";
    for (std::size_t at = 0; (at = text.find(name)) != std::string::npos;) text.erase(at, name.size());
    return text;
  }

  Scratch folder;
  std::string images, labels;
};

}  // namespace

TEST_CASE("images take the model's size, and become an export's preprocessor_config.json") {
  const Digits digits;
  const ImageData data = digits.open("{use: images, folder: png}");
  CHECK(data.training->size() == 3);
  CHECK_FALSE(data.held_out);
  CHECK(data.steps.side == 8);
  CHECK(data.steps.patch == 4);
  CHECK(data.steps.channels == 1);
  CHECK(data.steps.mean == std::vector{0.5});
  CHECK(data.preprocessor.find("ViTImageProcessor") != std::string::npos);
  const ImageData idx = digits.open("{use: idx, images: i, labels: l, held_out_images: i, held_out_labels: l, mean: 0, std: 1, size: 10}");
  CHECK(idx.training->size() == 3);
  CHECK(idx.held_out->size() == 3);
  CHECK(idx.steps.size == 10);
  CHECK(idx.preprocessor.find("crop_size") != std::string::npos);
}

TEST_CASE("the preprocessor beside the weights is read and stays as it is, unless the run file says otherwise") {
  const Digits digits;
  const std::string text = R"({"size":8,"resample":3,"image_mean":[0.1],"image_std":[0.2]})";
  put(digits.folder / "weights/preprocessor_config.json", text);
  const ImageData data = digits.open("{use: images, folder: png, preprocessor: weights}");
  CHECK(data.steps.resample == ImageFilter::bicubic);
  CHECK(data.steps.mean == std::vector{0.1});
  CHECK(data.preprocessor == text);
  CHECK(digits.open("{use: images, folder: png, flip: on}\nweights: weights").preprocessor == text);
  const ImageData other = digits.open("{use: images, folder: png, mean: 0.3}\nweights: weights");
  CHECK(other.steps.mean == std::vector{0.3});
  CHECK(other.steps.std == std::vector{0.2});
  CHECK(other.preprocessor.find("\"image_mean\": [\n    0.3\n  ]") != std::string::npos);
  put(digits.folder / "weights/preprocessor_config.json", R"({"size": 8, "crop_pct": 1})");
  CHECK(digits.error("{use: images, folder: png, preprocessor: weights}").starts_with(
      "run.yaml:2:48: data.preprocessor: weights/preprocessor_config.json:1:13: crop_pct: unknown option of preprocessor_config.json"));
  CHECK(digits.error("{use: images, folder: png, preprocessor: none.json}") ==
        "run.yaml:2:48: data.preprocessor: cannot read 'none.json': No such file or directory");
}

TEST_CASE("images that cannot be used are named and counted, and none is left out") {
  const Digits digits;
  place("cut.png", digits.folder / "png/0/cut.png");
  put(digits.folder / "png/1/notes.txt", "text");
  CHECK(digits.error("{use: images, folder: png}") ==
        "run.yaml:2:29: data.folder: 2 of 5 images cannot be used: 'png/0/cut.png': a damaged PNG: the file ends too early; "
        "'png/1/notes.txt': neither PNG nor JPEG\n    none is left out silently: repair, convert or remove them");
  for (int i = 0; i < 7; ++i) put(digits.folder / fmt::format("png/1/x{}.png", i), "");
  const std::string many = digits.error("{use: images, folder: png}");
  CHECK(many.find("9 of 12 images cannot be used: ") != std::string::npos);
  CHECK(many.find("'png/1/x2.png': an empty file; ...\n") != std::string::npos);
  CHECK(many.find("x3.png") == std::string::npos);
}

TEST_CASE("images of another size are refused where they are not resized") {
  const Digits digits;
  CHECK(digits.error("{use: images, folder: png, resize: off}").find(
            "3 of 3 images cannot be used: 'png/0/a.png': 9 x 6 pixels, and the model takes 8 x 8; ") != std::string::npos);
  CHECK(digits.error("{use: images, folder: png, size: 7}") ==
        "run.yaml:2:40: data.size: 7 pixels are fewer than the model takes: 8");
  CHECK(digits.error("{use: images, folder: png, resize: off, size: 8}") ==
        "run.yaml:2:53: data.size: images are not resized");
  CHECK(digits.error("{use: images, folder: png, mean: [0, 0, 0]}") ==
        "run.yaml:2:40: data.mean: 3 numbers, and the model's images have 1 channel\n    one number, or one a channel");
  CHECK(digits.error("{use: images, folder: png}", 2) ==
        "run.yaml:1:59: model.channels: images have 1 channel (gray) or 3 (color), not 2");
  CHECK(digits.open("{use: images, folder: png}", 3).steps.mean.size() == 3);
}

TEST_CASE("labels that the model has no class for are refused") {
  const Digits digits;
  put(digits.folder / "l", idx(0x801, {3}, {0, 1, 5}));
  CHECK(digits.error("{use: idx, images: i, labels: l}") ==
        "run.yaml:1:104: model.classes: image 2 of i is labelled 5 ('5'), and the model has 5 classes, from 0 on\n    set model.classes=6");
  for (int i = 2; i < 7; ++i) place("gray.png", digits.folder / fmt::format("png/{}/a.png", i));
  CHECK(digits.error("{use: images, folder: png}").find("model.classes: png/5/a.png is labelled 5 ('5')") != std::string::npos);
}

TEST_CASE("data.labels gives class folders another order than that of their names") {
  const Digits digits;
  CHECK(digits.open("{use: images, folder: png}").training->classes() == std::vector<std::string>{"0", "1"});
  const ImageData data = digits.open("{use: images, folder: png, labels: [9, 1, 0]}");
  CHECK(data.training->classes() == std::vector<std::string>{"9", "1", "0"});
  CHECK(data.training->label(0) == 2);
  CHECK(digits.error("{use: images, folder: png, labels: [1, 9]}") ==
        "run.yaml:2:29: data.folder: 'png' has a class '0', which is none of those that are trained on: 1, 9");
  CHECK(digits.error("{use: images, folder: png, labels: [0, 1, 2, 3, 4, 5]}") ==
        "run.yaml:2:42: data.labels: 6 names, and the model has 5 classes\n    set model.classes=6");
  CHECK(digits.error("{use: images, folder: png, labels: [0, 1, 0]}") == "run.yaml:2:42: data.labels: '0' is named twice");
}

TEST_CASE("files that are not there, and models that read no images, are refused at their place") {
  const Digits digits;
  CHECK(digits.error("{use: images, folder: none}") ==
        "run.yaml:2:29: data.folder: there is no folder 'none'\n    a path in a run file is relative to that file");
  CHECK(digits.error("{use: idx, images: none, labels: l}") ==
        "run.yaml:2:26: data.images: cannot read 'none': No such file or directory");
  CHECK(digits.error("{use: images, folder: png, held_out_folder: none}").starts_with("run.yaml:2:51: data.held_out_folder: there is no folder"));
  const RunFile run = RunFile::read(Options::from_text(
      "model: {use: gpt, hidden: 16, layers: 1, heads: 2, vocab: 10, sequence: 8}\ndata: {use: idx, images: i, labels: l}\n", "run.yaml"));
  CHECK(error_of([&] { check_data(run, describe_model(run, plugins()), ops()); }) ==
        "run.yaml:2:13: data.use: 'idx' trains models that read a field 'patches', and family 'gpt' does not\n    family vit does");
}
