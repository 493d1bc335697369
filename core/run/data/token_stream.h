// Text as one long stream of tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/export.h"

namespace trellis::data {

// The byte tokenizer: a byte is a token, and one more ends a document.
inline constexpr std::int64_t kByteVocab = 257;
inline constexpr std::uint16_t kEndOfDocument = 256;
inline constexpr std::int64_t kMaskToken = 257;  // that masked text adds

using Tokens = std::vector<std::uint16_t>;

// The documents one after another, each followed by the end of a document. Empty ones are left out.
TRELLIS_API Tokens tokenize(std::span<const std::string_view> documents);

// Reads the files; Error at `mark` for one that cannot be read, and when there is no text in any of them.
TRELLIS_API Tokens read_tokens(const std::vector<std::filesystem::path>& files, const Mark& mark);

// Entropy of the tokens' frequencies, in nats: the loss of a model that has learned nothing but how frequent each is.
TRELLIS_API double unigram_entropy(std::span<const std::uint16_t> tokens);

}  // namespace trellis::data
