#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>

#include "data/indexed/indexed.h"
#include "trellis/plan/error.h"

namespace trellis::data {

static_assert(std::endian::native == std::endian::little, "numbers are read as the files have them");

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic("MMIDIDX\0\0", 9);
constexpr std::size_t kHeader = 9 + 8 + 1 + 8 + 8;

template <class Number>
Number number_at(std::span<const std::byte> bytes, std::size_t index) {
  Number value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

template <class Number>
void copy(const std::byte* from, std::span<std::int64_t> out) {
  for (std::int64_t& value : out) {
    Number number;
    std::memcpy(&number, from, sizeof number);
    value = static_cast<std::int64_t>(number);
    from += sizeof number;
  }
}

fs::path must_exist(fs::path file) {
  if (!fs::exists(file))
    throw Error(ExitCode::io, fmt::format("there is no file '{}'", file.string()),
                "indexed files are named by what is before .bin and .idx, and both must be there");
  return file;
}

}  // namespace

std::size_t size_of(TokenType type) {
  switch (type) {
    case TokenType::u8:
    case TokenType::i8: return 1;
    case TokenType::i16:
    case TokenType::u16: return 2;
    case TokenType::i32: return 4;
    case TokenType::i64: return 8;
  }
  return 0;
}

std::string_view name_of(TokenType type) {
  switch (type) {
    case TokenType::u8: return "u8";
    case TokenType::i8: return "i8";
    case TokenType::i16: return "i16";
    case TokenType::u16: return "u16";
    case TokenType::i32: return "i32";
    case TokenType::i64: return "i64";
  }
  return "";
}

TokenType type_for(std::int64_t vocab) { return vocab < 65500 ? TokenType::u16 : TokenType::i32; }

fs::path indexed_prefix(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".bin" || extension == ".idx" ? path.parent_path() / path.stem() : path;
}

fs::path with_suffix(const fs::path& prefix, const char* suffix) { return prefix.string() + suffix; }

IndexedFile::IndexedFile(const fs::path& path)
    : prefix_(indexed_prefix(path)),
      index_(must_exist(with_suffix(prefix_, ".idx"))),
      data_(must_exist(with_suffix(prefix_, ".bin"))) {
  read_header();
  check_sequences();
  check_documents();
  tokens_ = static_cast<std::int64_t>(data_.bytes().size() / size_of(type_));
}

void IndexedFile::reject(std::string message, std::string hint) const {
  throw Error(ExitCode::bad_input, std::move(message), std::move(hint), {with_suffix(prefix_, ".idx").string()});
}

void IndexedFile::read_header() {
  const std::span<const std::byte> bytes = index_.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) {
    if (text.starts_with("TNTIDX"))
      reject("an index of the old kind (cached, lazy), which is not supported", "supported: mmap");
    reject("no index of indexed files: it does not begin with MMIDIDX");
  }
  if (bytes.size() < kHeader)
    reject(fmt::format("its header has {} bytes, and the file has {}", kHeader, bytes.size()));
  const auto after_magic = bytes.subspan(kMagic.size());
  if (const auto version = number_at<std::uint64_t>(after_magic, 0); version != 1)
    reject(fmt::format("version {} is not supported", version), "supported: 1");
  const auto code = static_cast<std::uint8_t>(after_magic[8]);
  type_ = static_cast<TokenType>(code);
  if (code == 6 || code == 7) reject("its tokens are floating-point numbers", "expected whole ones");
  if (size_of(type_) == 0) reject(fmt::format("unknown code {} of the tokens' type", code), "known: 1 to 5 and 8");
  const auto sequences = number_at<std::uint64_t>(after_magic.subspan(9), 0);
  const auto borders = number_at<std::uint64_t>(after_magic.subspan(9), 1);
  const std::uint64_t room = bytes.size() - kHeader;
  // 12 and 8 bytes each: neither product overflows where the counts are below the room.
  if (sequences > room || borders > room || sequences * 12 + borders * 8 > room)
    reject(
        fmt::format("{} sequences and {} borders of documents need more than the {} bytes behind its header: it is cut "
                    "short, or the header is wrong",
                    sequences, borders, room));
  const std::uint64_t needed = sequences * 12 + borders * 8;
  if (room == needed + sequences) reject("its sequences have modes, which are not supported", "expected text only");
  if (room != needed) reject(fmt::format("{} bytes at its end belong to nothing", room - needed));
  const auto rest = bytes.subspan(kHeader);
  lengths_ = rest.first(sequences * 4);
  pointers_ = rest.subspan(sequences * 4, sequences * 8);
  documents_ = rest.last(borders * 8);
}

void IndexedFile::check_sequences() const {
  const auto size = static_cast<std::int64_t>(size_of(type_));
  std::int64_t next = 0;
  for (std::int64_t i = 0; i < sequences(); ++i) {
    const std::int32_t length = this->length(i);
    const auto pointer = number_at<std::int64_t>(pointers_, static_cast<std::size_t>(i));
    if (length < 0) reject(fmt::format("sequence {} has the length {}", i, length));
    if (pointer != next)
      reject(fmt::format("sequence {} begins at byte {} of the .bin; expected {}, where the one before ends", i,
                         pointer, next));
    next += length * size;
  }
  if (const auto bytes = static_cast<std::int64_t>(data_.bytes().size()); next != bytes)
    reject(fmt::format("it has {} bytes of tokens ({}), and the .bin has {}", next, name_of(type_), bytes),
           next > bytes ? "the .bin is cut short, or it is another one's" : "the .bin is another one's");
}

void IndexedFile::check_documents() const {
  if (documents_.empty()) reject("it has no borders of documents, not even that of the first");
  std::int64_t last = 0;
  for (std::int64_t i = 0; i <= documents(); ++i) {
    const std::int64_t border = first_sequence(i);
    if (i == 0 ? border != 0 : border < last)
      reject(fmt::format("document {} begins at sequence {}; expected {}", i, border,
                         i == 0 ? "0" : fmt::format("{} or more", last)));
    last = border;
  }
  if (last != sequences()) reject(fmt::format("its documents end at sequence {}, and there are {}", last, sequences()));
}

std::int32_t IndexedFile::length(std::int64_t sequence) const {
  return number_at<std::int32_t>(lengths_, static_cast<std::size_t>(sequence));
}

std::int64_t IndexedFile::first_sequence(std::int64_t document) const {
  return number_at<std::int64_t>(documents_, static_cast<std::size_t>(document));
}

void IndexedFile::read(std::int64_t begin, std::span<std::int64_t> out) const {
  if (begin < 0 || begin > tokens_ || static_cast<std::int64_t>(out.size()) > tokens_ - begin)
    fail(ExitCode::failure, "'{}' has {} tokens; asked for {} from {} on", prefix_.string(), tokens_, out.size(),
         begin);
  const std::byte* from = data_.bytes().data() + static_cast<std::size_t>(begin) * size_of(type_);
  switch (type_) {
    case TokenType::u8: return copy<std::uint8_t>(from, out);
    case TokenType::i8: return copy<std::int8_t>(from, out);
    case TokenType::i16: return copy<std::int16_t>(from, out);
    case TokenType::u16: return copy<std::uint16_t>(from, out);
    case TokenType::i32: return copy<std::int32_t>(from, out);
    case TokenType::i64: return copy<std::int64_t>(from, out);
  }
}

}  // namespace trellis::data
