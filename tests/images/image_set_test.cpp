#include <doctest/doctest.h>

#include "data/images/image_set.h"
#include "images/support.h"

using namespace trellis;
using namespace trellis::data;
using namespace trellis::test;

TEST_CASE("class folders in byte order are the labels, and all files below them are images") {
  const Scratch folder;
  place("gray.png", folder / "b/2.png");
  place("color.jpg", folder / "b/1/deep.jpeg");
  place("gray.png", folder / "a b/x");
  place("color.png", folder / "C/y.PNG");
  put(folder / "README.txt", "not an image");
  put(folder / "b/.hidden", "");
  put(folder / ".cache/z.png", "");
  const ImageSetPointer set = open_class_folders(folder.path());
  CHECK(set->classes() == std::vector<std::string>{"C", "a b", "b"});
  REQUIRE(set->size() == 4);
  CHECK(set->name(0) == (folder / "C/y.PNG").string());
  CHECK(set->label(0) == 0);
  CHECK(set->label(1) == 1);
  CHECK(set->name(2) == (folder / "b/1/deep.jpeg").string());
  CHECK(set->label(3) == 2);
  CHECK(set->decode(3) == decoded("gray.png"));
  CHECK(set->header(2).width == 32);
}

TEST_CASE("held-out images have the labels of the classes that are trained on") {
  const Scratch folder;
  place("gray.png", folder / "c/1.png");
  const ImageSetPointer set = open_class_folders(folder.path(), {"a", "b", "c"});
  CHECK(set->label(0) == 2);
  CHECK(open_class_folders(folder.path(), {"c", "a"})->label(0) == 0);
  CHECK(error_of([&] { open_class_folders(folder.path(), {"a", "b"}); }) ==
        fmt::format("'{}' has a class 'c', which is none of those that are trained on: a, b", folder.path().string()));
}

TEST_CASE("folders without images, and images without a class, are refused") {
  const Scratch folder;
  const auto error = [&] { return error_of([&] { open_class_folders(folder.path()); }); };
  CHECK(error_of([&] { open_class_folders(folder / "none"); }) ==
        fmt::format("there is no folder '{}'\n    a path in a run file is relative to that file", (folder / "none").string()));
  CHECK(error() == fmt::format("'{}' has no class folder\n    FOLDER/CLASS/IMAGE.png: the class is the folder's name",
                               folder.path().string()));
  std::filesystem::create_directories(folder / "cat");
  CHECK(error() == fmt::format("class folder '{}' has no image", (folder / "cat").string()));
  place("gray.png", folder / "dog.JPG");
  CHECK(error() == fmt::format("'{}' is in no class folder\n    FOLDER/CLASS/IMAGE.png: the class is the folder's name",
                               (folder / "dog.JPG").string()));
}

TEST_CASE("IDX files are images in gray and their labels") {
  const Scratch folder;
  const std::string images = put(folder / "i", idx(0x803, {2, 2, 3}, {0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255}));
  const std::string labels = put(folder / "l", idx(0x801, {2}, {3, 1}));
  const ImageSetPointer set = open_idx(images, labels);
  REQUIRE(set->size() == 2);
  CHECK(set->classes() == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(set->label(0) == 3);
  CHECK(set->header(0).width == 3);
  CHECK(pixels(set->decode(1)) == std::vector{250, 251, 252, 253, 254, 255});
  CHECK(set->name(1) == "image 1 of " + images);
}

TEST_CASE("IDX files that are damaged or something else are refused") {
  const Scratch folder;
  const std::string path = (folder / "i").string();
  const std::string labels = put(folder / "l", idx(0x801, {2}, {3, 1}));
  const auto error = [&](const std::string& content) {
    put(path, content);
    return error_of([&] { open_idx(path, labels); });
  };
  const std::vector<int> one(4, 0), two(8, 0);
  CHECK(error(idx(0x801, {2}, {3, 1})) ==
        fmt::format("'{}' has 1 dimensions, and gray images have 3\n    these are labels: are the two files swapped?", path));
  CHECK(error(idx(0x804, {1, 2, 2, 3}, {})) == fmt::format("'{}' has 4 dimensions, and gray images have 3", path));
  CHECK(error(idx(0xd03, {1, 1, 1}, {0, 0, 0, 0})) == fmt::format("'{}' has 32-bit floats, and only unsigned bytes are read", path));
  CHECK(error("text, not numbers") == fmt::format("'{}' is no IDX file: it begins with 0x74657874, and not with 0x00000803", path));
  CHECK(error("\x1f\x8b\x08\x08 compressed") == fmt::format("'{0}' is compressed (gzip)\n    gunzip {0}", path));
  CHECK(error(idx(0x803, {2, 2}, {})) == fmt::format("'{}' ends in its header: 12 bytes, of 16", path));
  CHECK(error("") == fmt::format("'{}' ends in its header: 0 bytes, of 16", path));
  CHECK(error(idx(0x803, {2, 2, 2}, one)) == fmt::format("'{}' says 2 x 2 x 2, and has 4 bytes of numbers", path));
  CHECK(error(idx(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, one)) ==
        fmt::format("'{}' says 4294967295 x 4294967295 x 4294967295, and has 4 bytes of numbers", path));
  CHECK(error(idx(0x803, {0, 2, 2}, {})) == fmt::format("'{}' is empty: 0 x 2 x 2", path));
  CHECK(error(idx(0x803, {1, 2, 2}, one)) == fmt::format("'{}' has 1 images, and '{}' 2 labels", path, labels));
  CHECK(error(idx(0x803, {2, 2, 2}, two)) == "no error");
  CHECK(error_of([&] { open_idx(folder / "none", labels); }) ==
        fmt::format("cannot read '{}': No such file or directory", (folder / "none").string()));
}
