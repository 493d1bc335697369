// Text as samples of one length: windows over long rows of tokens. Documents are joined: windows reach over their borders.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/samples/run_data.h"
#include "run/data/sample_order.h"
#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

struct WindowOptions {
  std::int64_t length = 0;  // window i of a row begins at token i x length
  std::int64_t more = 0;    // tokens behind it that must be there, too: of the next window
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;
  std::int64_t vocab = 0;  // of the model; 0: tokens are not checked
};

// Tokens at the end of a row that do not fill a window are left out. Thread-safe.
class TRELLIS_API TextWindows {
 public:
  // Error where a row does not fill one window; held-out rows that do not are left out where another does.
  TextWindows(std::vector<TokenRow> rows, WindowOptions options);

  const SampleOrder& order() const { return *order_; }
  // Tokens of a sample from its token `from` on. Error (bad_input) for a token that the model does not know, with the
  // name of its row and its place there.
  void read(std::int64_t sample, std::int64_t from, std::span<std::int64_t> out) const;

 private:
  std::vector<TokenRow> rows_;
  WindowOptions options_;
  std::optional<SampleOrder> order_;
};

// The text of a run: the last `held_out` of each row is for evaluation. Reads the files.
struct TRELLIS_API Text {
  std::vector<TokenRow> training, held_out;
  std::int64_t tokens = 0;
  std::size_t files = 0;
  std::optional<TokenId> end_of_document;
  double unigram_entropy = 0;  // of the training text

  static Text read(const DataSection& section, const Tokenizer* tokenizer);
};
// "6.4 M tokens in 3 files, 5 % of them held out"
TRELLIS_API std::string summary_of(const Text& text, const RunFile& run);

}  // namespace trellis::data
