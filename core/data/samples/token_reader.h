// One long row of tokens, wherever it is: in memory, in an indexed file, in several of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/indexed/indexed.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// Thread-safe.
class TRELLIS_API TokenReader {
 public:
  virtual ~TokenReader();
  virtual std::int64_t size() const = 0;
  virtual void read(std::int64_t begin, std::span<std::int64_t> out) const = 0;  // all of it is within the row
};
using TokenReaderPointer = std::shared_ptr<const TokenReader>;

TRELLIS_API TokenReaderPointer in_memory(std::vector<TokenId> tokens);
TRELLIS_API TokenReaderPointer of_file(std::shared_ptr<const IndexedFile> file);
TRELLIS_API TokenReaderPointer joined(std::vector<TokenReaderPointer> rows);  // one after another
TRELLIS_API TokenReaderPointer part_of(TokenReaderPointer row, std::int64_t begin, std::int64_t end);

}  // namespace trellis::data
