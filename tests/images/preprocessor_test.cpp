#include <doctest/doctest.h>

#include "data/images/preprocessor.h"
#include "images/support.h"

using namespace trellis;
using namespace trellis::data;
using namespace trellis::test;

namespace {

ImageSteps read(std::string_view json, std::int64_t side = 224, std::optional<std::int64_t> size = std::nullopt, std::int64_t channels = 3) {
  ImageSteps steps{.side = side, .channels = channels, .patch = 1};
  read_preprocessor(json, "p.json", steps, size);
  return steps;
}

std::string error(std::string_view json, std::int64_t side = 224) {
  return error_of([&] { read(json, side); });
}

}  // namespace

TEST_CASE("a preprocessor_config.json of ViT says resize, filter, rescaling and normalization") {
  const ImageSteps steps = read(R"({"do_normalize": true, "do_rescale": true, "do_resize": true,
    "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "ViTImageProcessor", "image_std": [0.229, 0.224, 0.225],
    "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}})");
  CHECK(steps.resize == ImageResize::exact);
  CHECK(steps.size == 224);
  CHECK(steps.resample == ImageFilter::bicubic);
  CHECK(steps.rescale == doctest::Approx(1.0 / 255));
  CHECK(steps.mean == std::vector{0.485, 0.456, 0.406});
  CHECK(steps.std == std::vector{0.229, 0.224, 0.225});
}

TEST_CASE("older files say less, and their kind says the rest") {
  const ImageSteps vit = read(R"({"do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": 224})");
  CHECK(vit.resample == ImageFilter::bilinear);
  CHECK(vit.resize == ImageResize::exact);
  const ImageSteps deit = read(R"({"feature_extractor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224, "do_center_crop": true})");
  CHECK(deit.size == 256);
  CHECK(deit.resample == ImageFilter::bicubic);
  const ImageSteps clip = read(R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 256}})");
  CHECK(clip.resize == ImageResize::shorter);
  CHECK(clip.size == 256);
  CHECK(clip.mean.at(0) == 0.48145466);
}

TEST_CASE("what is switched off is not done") {
  const ImageSteps steps = read(R"({"do_normalize": false, "do_rescale": false, "do_resize": false, "size": 100})", 32);
  CHECK(steps.resize == ImageResize::off);
  CHECK(steps.size == 32);
  CHECK(steps.rescale == 1);
  CHECK(steps.mean == std::vector<double>{0, 0, 0});
  CHECK(steps.std == std::vector<double>{1, 1, 1});
}

TEST_CASE("unknown components are refused by name") {
  CHECK(error(R"({"image_processor_type": "BeitImageProcessor"})") ==
        "p.json:1:26: image_processor_type: 'BeitImageProcessor' is not supported\n    supported are those of ViT, DeiT and CLIP");
  CHECK(error(R"({"resample": 1})") == "p.json:1:14: resample: 1 (lanczos) is not supported\n    supported are 2 (bilinear) and 3 (bicubic)");
  CHECK(error(R"({"crop_pct": 0.9})").starts_with("p.json:1:2: crop_pct: unknown option of preprocessor_config.json"));
  CHECK(error(R"({"size": {"longest_edge": 224}})").find("size.height: required, and not given") != std::string::npos);
  CHECK(error(R"({"size": {"height": 224, "width": 448}})") ==
        "p.json:1:10: size: 448 x 224 is no square, and the model's images are");
  CHECK(error(R"({"size": {"shortest_edge": 224}})") ==
        "p.json:1:10: size.shortest_edge: without do_center_crop images are no squares");
  CHECK(error(R"({"image_mean": [0.5, 0.5]})") ==
        "p.json:1:16: image_mean: 2 numbers, and the model's images have 3 channels\n    one number, or one a channel");
  CHECK(error(R"({"image_std": [0, 0, 0]})") == "p.json:1:15: image_std: expected more than 0, found 0");
  CHECK(error("[]").find("expected a JSON object") != std::string::npos);
}

TEST_CASE("a size that is not the model's is refused, unless another one is said") {
  CHECK(error(R"({"size": 224})", 384) ==
        "p.json:1:10: size: 224 pixels, and the model takes 384\n    say another in the run file: data.size=384");
  CHECK(read(R"({"size": 224})", 384, 384).size == 384);
  CHECK(error(R"({"size": 256, "crop_size": 224, "do_center_crop": true})", 192) ==
        "p.json:1:28: crop_size: 224 pixels, and the model takes 192\n    say another in the run file: data.size=192");
}

TEST_CASE("what is written reads back to the same steps") {
  ImageSteps steps{.side = 224, .channels = 3, .patch = 16, .resize = ImageResize::shorter, .size = 256,
                   .resample = ImageFilter::bicubic, .rescale = 1.0 / 255, .mean = {0.1, 0.2, 0.3}, .std = {1, 2, 3}};
  const std::string text = write_preprocessor(steps);
  CHECK(text.find("\"shortest_edge\": 256") != std::string::npos);
  CHECK(text.find("CLIPImageProcessor") != std::string::npos);
  const ImageSteps again = read(text);
  CHECK(again.resize == steps.resize);
  CHECK(again.size == 256);
  CHECK(again.resample == steps.resample);
  CHECK(again.mean == steps.mean);
  CHECK(again.std == steps.std);
  const ImageSteps gray{.side = 8, .channels = 1, .patch = 2, .size = 8, .mean = {0.5}, .std = {0.5}};
  CHECK(write_preprocessor(gray) == R"({
  "image_processor_type": "ViTImageProcessor",
  "do_resize": true,
  "size": {
    "height": 8,
    "width": 8
  },
  "resample": 2,
  "do_rescale": true,
  "rescale_factor": 0.00392156862745098,
  "do_normalize": true,
  "image_mean": [
    0.5
  ],
  "image_std": [
    0.5
  ]
}
)");
  CHECK(write_preprocessor(read(write_preprocessor(gray), 8, std::nullopt, 1)) == write_preprocessor(gray));
}
