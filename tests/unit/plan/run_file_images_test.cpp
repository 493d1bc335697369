#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/run_file.h"

using namespace trellis;

namespace {

RunFile read(const std::string& data) {
  return RunFile::read(Options::from_text("model: {use: vit}\ndata: " + data + "\n", "runs/a.yaml"));
}

std::string error(const std::string& data) {
  try {
    read(data);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a run file names class folders, and what is done to their images") {
  const RunFile run = read(
      "{use: images, folder: png, held_out_folder: /val, preprocessor: w, resize: shorter, size: 256, resample: bicubic,\n"
      "  rescale: 0.5, mean: [0.1, 0.2, 0.3], std: 2, random_crop: {area: [0.25, 1], ratio: [0.5, 2]}, flip: on}");
  CHECK(run.data.is_images());
  CHECK(run.data.tokenizer.empty());
  const ImageSection& image = run.data.image;
  CHECK(image.folder == "runs/png");
  CHECK(image.held_out_folder == "/val");
  CHECK(image.preprocessor == "runs/w");
  CHECK(image.resize == ImageResize::shorter);
  CHECK(image.size == 256);
  CHECK(image.resample == ImageFilter::bicubic);
  CHECK(image.rescale == 0.5);
  CHECK(image.mean == std::vector{0.1, 0.2, 0.3});
  CHECK(image.std == std::vector{2.0});
  CHECK(image.random_crop == ImageCrop{.least_area = 0.25, .most_area = 1, .least_ratio = 0.5, .most_ratio = 2});
  CHECK(image.flip);
}

TEST_CASE("a run file names IDX files") {
  const RunFile run = read("{use: idx, images: i, labels: l, held_out: 10%, random_crop: {padding: 1}}");
  CHECK(run.data.image.images == "runs/i");
  CHECK(run.data.image.labels == "runs/l");
  CHECK(run.data.held_out == 0.1);
  CHECK(run.data.image.random_crop->padding == 1);
  CHECK_FALSE(run.data.image.resize.has_value());
  CHECK_FALSE(read("{use: idx, images: i, labels: l, random_crop: off}").data.image.random_crop.has_value());
}

TEST_CASE("a resolved run file has the absolute paths of images") {
  const RunFile run = RunFile::read(Options::from_text(
      "model: {use: vit}\ndata: {use: idx, images: i, labels: l, held_out_images: h, held_out_labels: m, preprocessor: p}\n", "/x/a.yaml"));
  const RunFile again = RunFile::read(Options::from_text(run.resolved(), "/y/b.yaml"));
  CHECK(again.data.image.paths() == run.data.image.paths());
  CHECK(again.data.image.paths() == std::vector<std::pair<std::string, std::string>>{{"images", "/x/i"}, {"labels", "/x/l"},
                                     {"held_out_images", "/x/h"}, {"held_out_labels", "/x/m"}, {"preprocessor", "/x/p"}});
}

TEST_CASE("what a section of images says wrongly is an error at its place") {
  CHECK(error("{use: images}") == "runs/a.yaml:2:7: data.folder: required, and not given");
  CHECK(error("{use: images, folder: ''}") == "runs/a.yaml:2:29: data.folder: expected a path, found nothing");
  CHECK(error("{use: idx, images: a}") == "runs/a.yaml:2:7: data.labels: required, and not given");
  CHECK(error("{use: images, folder: a, tokenizer: byte}").starts_with("runs/a.yaml:2:32: data.tokenizer: unknown option of section 'data'"));
  CHECK(error("{use: idx, images: a, labels: b, folder: c}").starts_with("runs/a.yaml:2:40: data.folder: unknown option"));
  CHECK(error("{use: idx, images: a, labels: b, held_out_images: c}") ==
        "runs/a.yaml:2:57: data.held_out_images: held-out images and their labels are two files\n"
        "    name both: held_out_images and held_out_labels");
  CHECK(error("{use: images, folder: a, held_out_folder: b, held_out: 5%}") ==
        "runs/a.yaml:2:62: data.held_out: held-out images are files of their own\n    leave one of them out; one of a base goes with held_out: null");
  CHECK(error("{use: images, folder: a, resample: lanczos}") ==
        "runs/a.yaml:2:42: data.resample: expected bilinear or bicubic, found 'lanczos'\n    known: bilinear, bicubic");
  CHECK(error("{use: images, folder: a, resize: long}").starts_with("runs/a.yaml:2:40: data.resize: expected exact or shorter or off, found 'long'"));
  CHECK(error("{use: images, folder: a, size: 0}") == "runs/a.yaml:2:38: data.size: expected 1 to 65536 pixels, found 0");
  CHECK(error("{use: images, folder: a, std: [1, 0]}") == "runs/a.yaml:2:37: data.std: expected more than 0, found 0");
  CHECK(error("{use: images, folder: a, rescale: 0}") == "runs/a.yaml:2:41: data.rescale: expected a factor, found 0");
  CHECK(error("{use: images, folder: a, random_crop: on}") ==
        "runs/a.yaml:2:45: data.random_crop: it does not say how\n    write {padding: 4}, {area: [0.08, 1]} or off");
  CHECK(error("{use: images, folder: a, random_crop: {area: [1, 0.5]}}") ==
        "runs/a.yaml:2:52: data.random_crop.area: expected the least and the most, as in [0.5, 1]");
  CHECK(error("{use: images, folder: a, random_crop: {area: [0.5, 2]}}") ==
        "runs/a.yaml:2:52: data.random_crop.area: 2 is more than the image");
  CHECK(error("{use: images, folder: a, random_crop: {padding: 1, area: [0.5, 1]}}") ==
        "runs/a.yaml:2:64: data.random_crop.area: a window of the padded image has the size of the model's");
  CHECK(error("{use: images, folder: a, random_crop: {padding: -1}}") ==
        "runs/a.yaml:2:55: data.random_crop.padding: expected 0 to 65536 pixels, found -1");
}
