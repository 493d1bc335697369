// Files in the safetensors format, and what is wrong with damaged ones, byte for byte.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <string>

#include "plan/weights/safetensors.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

using test::Scratch;

std::string little_endian(std::uint64_t n) {
  std::string text(8, '\0');
  std::memcpy(text.data(), &n, 8);
  return text;
}

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

// What is said of a file with this content, without the file's name.
std::string told(const std::string& content) {
  const Scratch folder;
  const std::filesystem::path path = folder / "model.safetensors";
  write_file_atomically(path, content);
  try {
    const SafetensorsFile file(path);
    return fmt::format("{} tensors", file.tensors().size());
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::bad_input);
    CHECK(error.mark().file == path.string());
    return error.message();
  }
}

const std::string kOne = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
const std::string kEight = "12345678";

std::string one_with(const std::string& entry) { return told(file_of("{\"a\":" + entry + "}", kEight)); }

}  // namespace

TEST_CASE("a file is its header's length, the header, and the tensors' bytes") {
  CHECK(told(file_of(kOne, kEight)) == "1 tensors");
  CHECK(told(file_of("{}", "")) == "0 tensors");
  CHECK(told(file_of(R"({"__metadata__":{"format":"pt"}}   )", "")) == "0 tensors");
  // no order of entries, starts that are not aligned, tensors without elements
  CHECK(told(file_of(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},)"
                     R"("c":{"dtype":"F16","shape":[3,0],"data_offsets":[5,5]},)"
                     R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
                     "12345")) == "3 tensors");
}

TEST_CASE("a tensor is found with its shape and bytes") {
  const Scratch folder;
  write_file_atomically(folder / "f",
                        file_of(R"({"__metadata__":{"k":"v"},"x":{"dtype":"U8","shape":[1,2],"data_offsets":[2,4]},)"
                                R"("y":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})",
                                "abcd"));
  const SafetensorsFile file(folder / "f");
  const TensorView* x = file.find("x");
  REQUIRE(x);
  CHECK(x->shape == Shape{1, 2});
  CHECK(std::string(reinterpret_cast<const char*>(x->bytes.data()), x->bytes.size()) == "cd");
  CHECK(file.tensors().front().name == "y");
  CHECK(file.metadata().at("k") == "v");
  CHECK(file.find("z") == nullptr);
}

TEST_CASE("a file whose header is cut short or no header is refused") {
  CHECK(told("") == "no safetensors file: 0 bytes are too few");
  CHECK(told("1234567") == "no safetensors file: 7 bytes are too few");
  CHECK(told(little_endian(0)) == "no safetensors file: its header does not begin with '{'");
  CHECK(told(little_endian(3) + "{}") ==
        "its header has 3 bytes, and the file has 2 after its length: it is cut short");
  CHECK(told(little_endian(100'000'001)) == "no safetensors file: it begins with a header of 100000001 bytes");
  CHECK(told(std::string(16, '\xff')) == "no safetensors file: it begins with a header of 18446744073709551615 bytes");
  CHECK(told("version https://git-lfs.github.com/spec/v1\n") ==
        "this is a Git LFS pointer, not the file that it stands for");
  CHECK(told(file_of(" {}", "")) == "no safetensors file: its header does not begin with '{'");
  CHECK(told(file_of("{\"a\"", "")) == "not JSON: it ends in the middle");
  CHECK(told(file_of("{} x", "")) == "not JSON");
  CHECK(told(file_of("{\"\xff\":1}", "")) == "not JSON");
  CHECK(told(file_of("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}", "")) ==
        "JSON is nested deeper than 64 levels");
}

TEST_CASE("an entry that is not dtype, shape and range is refused") {
  CHECK(one_with("[]") == "tensor 'a': expected an object with dtype, shape and data_offsets");
  CHECK(one_with(R"({"shape":[2],"data_offsets":[0,8]})") == "tensor 'a': has no 'dtype'");
  CHECK(one_with(R"({"dtype":"F32","data_offsets":[0,8]})") == "tensor 'a': has no 'shape'");
  CHECK(one_with(R"({"dtype":"F32","shape":[2]})") == "tensor 'a': has no 'data_offsets'");
  CHECK(one_with(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})") == "tensor 'a': unknown key 'x'");
  CHECK(one_with(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})") == "tensor 'a': unknown dtype 'F33'");
  CHECK(one_with(R"({"dtype":1,"shape":[2],"data_offsets":[0,8]})") == "tensor 'a': dtype is no text");
  CHECK(one_with(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})") == "tensor 'a': shape is no list");
  CHECK(one_with(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})") ==
        "tensor 'a': shape has '-2'; expected whole numbers, 0 or more");
  CHECK(one_with(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})") ==
        "tensor 'a': shape has '2.0'; expected whole numbers, 0 or more");
  CHECK(one_with(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})") ==
        "tensor 'a': data_offsets are not two numbers");
  CHECK(one_with(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})") ==
        "tensor 'a': its bytes end at 0, before they begin at 8");
  CHECK(told(file_of(R"({"__metadata__":{"a":1}})", "")) == "__metadata__: 'a' is no text");
  CHECK(told(file_of(R"({"__metadata__":1})", "")) == "__metadata__ is no object");
  CHECK(told(file_of(kOne.substr(0, kOne.size() - 1) + "," + kOne.substr(1), kEight)) ==
        "the key 'a' is written twice");
}

TEST_CASE("a range that does not fit the shape or the file is refused") {
  CHECK(one_with(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})") == "tensor 'a': has 8 bytes; F32 [3] needs 12");
  CHECK(one_with(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})") == "tensor 'a': has 8 bytes; F64 [2] needs 16");
  CHECK(one_with(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})") ==
        "tensor 'a': has 8 bytes; F32 [4294967296 4294967296] needs more");
  CHECK(one_with(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})") ==
        "tensor 'a': shape has the size 9223372036854775808");
  CHECK(one_with(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})") ==
        "tensor 'a': its bytes end at 12, and the file has 8 bytes of data: it is cut short, or the header is wrong");
  CHECK(one_with(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})") ==
        "tensor 'a': 4 bytes before it belong to no tensor");
  CHECK(one_with(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})") == "4 bytes at the end belong to no tensor");
  CHECK(told(file_of(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
                     R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                     kEight)) == "tensor 'b': its bytes overlap those of 'a'");
  CHECK(told(file_of("{}", "x")) == "1 bytes at the end belong to no tensor");
}

TEST_CASE("a file with any byte changed or cut off is read or refused, never worse") {
  const std::string whole =
      file_of(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"U8","shape":[2,2],"data_offsets":[8,12]}})",
              "123456789012");
  CHECK(told(whole) == "2 tensors");
  for (std::size_t length = 0; length < whole.size(); ++length) CHECK(told(whole.substr(0, length)) != "2 tensors");
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = whole;
    for (unsigned n = 0; n <= random() % 3; ++n)
      damaged[random() % (whole.size() - 12)] = static_cast<char>(random() % 256);
    CHECK_FALSE(told(damaged).empty());
  }
}

TEST_CASE("what is not there, or a folder, cannot be read") {
  const Scratch folder;
  for (const std::filesystem::path& path : {folder / "nowhere", folder.path()}) {
    try {
      const SafetensorsFile file(path);
      FAIL("read");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::io);
    }
  }
}

TEST_CASE("a file is written as the format's reference implementation writes it") {
  const Scratch folder;
  SafetensorsWriter writer(folder / "out", {{"b", "F32", {2}}, {"c", "BF16", {1, 2}}, {"a", "F32", {1}}});
  std::memcpy(writer.bytes("b").data(), "bbbbBBBB", 8);
  std::memcpy(writer.bytes("c").data(), "cccc", 4);
  std::memcpy(writer.bytes("a").data(), "aaaa", 4);
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
  writer.commit();
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"c":{"dtype":"BF16","shape":[1,2],"data_offsets":[12,16]}})";
  CHECK(read_file(folder / "out") == little_endian((header.size() + 7) / 8 * 8) + header +
                                         std::string((8 - header.size() % 8) % 8, ' ') + "aaaabbbbBBBBcccc");
  CHECK(SafetensorsFile(folder / "out").tensors().size() == 3);
}

TEST_CASE("a file that is not committed leaves nothing, and an older one as it was") {
  const Scratch folder;
  write_file_atomically(folder / "out", "old");
  { SafetensorsWriter writer(folder / "out", {{"a", "F32", {1000}}}); }
  CHECK(read_file(folder / "out") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  CHECK_THROWS_AS(SafetensorsWriter(folder / "nowhere" / "out", {}), Error);
}

}  // namespace trellis
