// Classes of a head against those of the data.
#include <doctest/doctest.h>

#include "plan/weights/class_names.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using Names = std::vector<std::string>;

std::string said(const Names& head, const Names& data) {
  try {
    return compare_classes(head, data);
  } catch (const Error& error) {
    return std::string("error: ") + error.what();
  }
}

}  // namespace

TEST_CASE("a config.json names classes, and LABEL_0 is no name") {
  CHECK(class_names_of(R"({"id2label": {"1": "dog", "0": "cat"}})") == Names{"cat", "dog"});
  CHECK(class_names_of(R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})").empty());
  CHECK(class_names_of(R"({"id2label": {"0": "LABEL_0", "1": "dog", "2": "LABEL_2"}})") == Names{"", "dog"});
  CHECK(class_names_of(R"({"id2label": {"x": "dog", "-1": "cat", "99999999999999999999": "cow", "0": 1}})").empty());
  CHECK(class_names_of(R"({"id2label": [1]})").empty());
  CHECK(class_names_of("{}").empty());
  CHECK(class_names_of("[").empty());
}

TEST_CASE("data of a head's own classes is fine, also where it has fewer or the head names none") {
  CHECK(said({"cat", "dog", "emu"}, {"cat", "dog", "emu"}).empty());
  CHECK(said({"cat", "dog", "emu"}, {"cat", "dog"}).empty());
  CHECK(said({}, {"cat", "dog"}).empty());
  CHECK(said({"", "dog"}, {"cat", "dog"}).empty());
  CHECK(said({"cat", "dog"}, {}).empty());
}

TEST_CASE("a class that the head has at another number is an error, with the order that would do") {
  CHECK(said({"dog", "cat"}, {"cat", "dog"}) ==
        "error: class 'cat' has label 0 in the data, and 1 in the head that was trained\n    data.labels=[dog, cat] has the head's order");
  CHECK(said({"cat", "dog", "emu"}, {"cat", "emu"}) ==
        "error: class 'emu' has label 1 in the data, and 2 in the head that was trained\n"
        "    data.labels=[cat, dog, emu] has the head's order");
  CHECK(said({"ape", "cat", "dog"}, {"bee", "dog"}) ==
        "error: class 'dog' has label 1 in the data, and 2 in the head that was trained\n"
        "    data.labels=[bee, cat, dog] has the head's order");
  CHECK(said({"", "cat"}, {"cat", "dog"}) ==
        "error: class 'cat' has label 0 in the data, and 1 in the head that was trained\n    data.labels=[dog, cat] has the head's order");
  CHECK(said({"", "", "cat"}, {"cat", "dog"}) ==
        "error: class 'cat' has label 0 in the data, and 2 in the head that was trained\n"
        "    data.labels has the names in the order of labels");
}

TEST_CASE("other classes are told") {
  CHECK(said({"cat", "dog"}, {"ape", "dog"}) == "the head was trained for other classes, and goes on from those: 'ape' (was 'cat')");
}

}  // namespace trellis
