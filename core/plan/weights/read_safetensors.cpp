#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "plan/weights/json.h"
#include "plan/weights/safetensors.h"
#include "trellis/plan/error.h"

namespace trellis {

static_assert(std::endian::native == std::endian::little,
              "tensors are read where they are, and files are little-endian");

namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // that of the format's reference implementation
constexpr std::string_view kMetadata = "__metadata__";

struct DtypeName {
  std::string_view name;
  std::size_t size;
};
constexpr std::array kDtypes = {DtypeName{"F32", 4},     DtypeName{"BF16", 2},    DtypeName{"F16", 2},
                                DtypeName{"F64", 8},     DtypeName{"I64", 8},     DtypeName{"U64", 8},
                                DtypeName{"I32", 4},     DtypeName{"U32", 4},     DtypeName{"I16", 2},
                                DtypeName{"U16", 2},     DtypeName{"I8", 1},      DtypeName{"U8", 1},
                                DtypeName{"BOOL", 1},    DtypeName{"F8_E4M3", 1}, DtypeName{"F8_E5M2", 1},
                                DtypeName{"F8_E8M0", 1}, DtypeName{"C64", 8}};

// What is wrong with one file, by its name.
class Judge {
 public:
  explicit Judge(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void reject(std::string message, std::string hint = {}) const {
    throw Error(ExitCode::bad_input, std::move(message), std::move(hint), {file_});
  }
  [[noreturn]] void reject_tensor(std::string_view tensor, std::string_view message) const {
    reject(fmt::format("tensor '{}': {}", tensor, message));
  }

 private:
  std::string file_;
};

std::uint64_t whole_number(const Json& value, std::string_view tensor, std::string_view what, const Judge& judge) {
  if (!value.is_number_unsigned())
    judge.reject_tensor(tensor, fmt::format("{} has '{}'; expected whole numbers, 0 or more", what, value.dump()));
  return value.get<std::uint64_t>();
}

const Json& member(const Json& entry, const char* key, std::string_view tensor, const Judge& judge) {
  const auto found = entry.find(key);
  if (found == entry.end()) judge.reject_tensor(tensor, fmt::format("has no '{}'", key));
  return *found;
}

Shape read_shape(const Json& value, std::string_view tensor, const Judge& judge) {
  if (!value.is_array()) judge.reject_tensor(tensor, "shape is no list");
  Shape shape;
  for (const Json& size : value) {
    const std::uint64_t n = whole_number(size, tensor, "shape", judge);
    if (n > std::uint64_t{1} << 62) judge.reject_tensor(tensor, fmt::format("shape has the size {}", n));
    shape.push_back(static_cast<std::int64_t>(n));
  }
  return shape;
}

// The bytes that a shape needs, or nothing where no file has so many.
std::optional<std::uint64_t> needed_bytes(const Shape& shape, std::size_t element) {
  std::uint64_t bytes = element;
  for (const std::int64_t size : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return std::nullopt;
  return bytes;
}

TensorView read_tensor(const std::string& name, const Json& entry, std::span<const std::byte> data,
                       const Judge& judge) {
  if (!entry.is_object()) judge.reject_tensor(name, "expected an object with dtype, shape and data_offsets");
  TensorView tensor;
  tensor.name = name;
  const Json& dtype = member(entry, "dtype", name, judge);
  const Json& offsets = member(entry, "data_offsets", name, judge);
  tensor.shape = read_shape(member(entry, "shape", name, judge), name, judge);
  for (const auto& [key, unused] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      judge.reject_tensor(name, fmt::format("unknown key '{}'", key));
  if (!dtype.is_string()) judge.reject_tensor(name, "dtype is no text");
  tensor.dtype = dtype.get<std::string>();
  const std::size_t element = element_size(tensor.dtype);
  if (element == 0) judge.reject_tensor(name, fmt::format("unknown dtype '{}'", tensor.dtype));

  if (!offsets.is_array() || offsets.size() != 2) judge.reject_tensor(name, "data_offsets are not two numbers");
  const std::uint64_t begin = whole_number(offsets[0], name, "data_offsets", judge),
                      end = whole_number(offsets[1], name, "data_offsets", judge);
  if (begin > end) judge.reject_tensor(name, fmt::format("its bytes end at {}, before they begin at {}", end, begin));
  if (end > data.size())
    judge.reject_tensor(name, fmt::format("its bytes end at {}, and the file has {} bytes of data: it is cut short, or "
                                          "the header is wrong",
                                          end, data.size()));
  const auto needed = needed_bytes(tensor.shape, element);
  if (!needed || *needed != end - begin)
    judge.reject_tensor(name, fmt::format("has {} bytes; {} [{}] needs {}", end - begin, tensor.dtype,
                                          fmt::join(tensor.shape, " "), needed ? fmt::format("{}", *needed) : "more"));
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

// Every byte belongs to exactly one tensor.
void check_ranges(const std::vector<TensorView>& tensors, std::span<const std::byte> data, const Judge& judge) {
  const std::byte* next = data.data();
  const TensorView* previous = nullptr;
  for (const TensorView& tensor : tensors) {
    if (tensor.bytes.data() < next)
      judge.reject_tensor(tensor.name, fmt::format("its bytes overlap those of '{}'", previous->name));
    if (tensor.bytes.data() > next)
      judge.reject_tensor(tensor.name,
                          fmt::format("{} bytes before it belong to no tensor", tensor.bytes.data() - next));
    next += tensor.bytes.size();
    previous = &tensor;
  }
  if (next != data.data() + data.size())
    judge.reject(fmt::format("{} bytes at the end belong to no tensor", data.data() + data.size() - next));
}

std::map<std::string, std::string> read_metadata(const Json& value, const Judge& judge) {
  if (!value.is_object()) judge.reject(fmt::format("{} is no object", kMetadata));
  std::map<std::string, std::string> result;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) judge.reject(fmt::format("{}: '{}' is no text", kMetadata, key));
    result[key] = text.get<std::string>();
  }
  return result;
}

// The header's text and the bytes after it.
std::pair<std::string_view, std::span<const std::byte>> split(std::span<const std::byte> file, const Judge& judge) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with(kPointer))
    judge.reject("this is a Git LFS pointer, not the file that it stands for", "fetch it: git lfs pull");
  std::uint64_t length = 0;
  if (file.size() < sizeof length) judge.reject(fmt::format("no safetensors file: {} bytes are too few", file.size()));
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeader)
    judge.reject(fmt::format("no safetensors file: it begins with a header of {} bytes", length));
  if (length > file.size() - sizeof length)
    judge.reject(fmt::format("its header has {} bytes, and the file has {} after its length: it is cut short", length,
                             file.size() - sizeof length));
  return {text.substr(sizeof length, length), file.subspan(sizeof length + length)};
}

}  // namespace

std::size_t element_size(std::string_view dtype) {
  const auto found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeName& d) { return d.name == dtype; });
  return found == kDtypes.end() ? 0 : found->size;
}

struct SafetensorsFile::Mapping {
  std::span<const std::byte> bytes;

  explicit Mapping(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail_io(path, errno);
    struct stat status {};
    const bool known = ::fstat(fd, &status) == 0;
    const int error = !known ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
    void* base = nullptr;
    if (error == 0 && status.st_size > 0)
      base = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    const int map_error = base == MAP_FAILED ? errno : error;
    ::close(fd);
    if (map_error != 0) fail_io(path, map_error);
    if (base) bytes = {static_cast<const std::byte*>(base), static_cast<std::size_t>(status.st_size)};
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (!bytes.empty()) ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
  }

  [[noreturn]] static void fail_io(const std::filesystem::path& path, int error) {
    fail(ExitCode::io, "cannot read '{}': {}", path.string(), std::generic_category().message(error));
  }
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path), mapping_(std::make_shared<const Mapping>(path)) {
  const Judge judge(path.string());
  const auto [text, data] = split(mapping_->bytes, judge);
  if (!text.starts_with('{')) judge.reject("no safetensors file: its header does not begin with '{'");
  const Json header = parse_json(text, path.string());
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) metadata_ = read_metadata(entry, judge);
    else tensors_.push_back(read_tensor(name, entry, data, judge));
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  check_ranges(tensors_, data, judge);
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorView& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace trellis
