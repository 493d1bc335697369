// What readers of config.json have in common: sizes in bounds, words of which some are known, settings that have to be as
// they usually are. Used by families that know public weights. All throw Error at the key's place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/options.h"
#include "trellis/plan/weights.h"

namespace trellis::public_config {

// Products of a few sizes must not overflow, and layers are made one by one.
inline constexpr std::int64_t kMostSize = 1 << 22, kMostPositions = 1 << 24, kMostHeads = 1 << 12, kMostLayers = 10'000;

TRELLIS_API std::int64_t in_range(const Options&, std::string_view key, std::int64_t value, std::int64_t most = kMostSize);
TRELLIS_API std::int64_t size(const Options&, std::string_view key, std::int64_t most = kMostSize);  // required
TRELLIS_API std::int64_t size_or(const Options&, std::string_view key, std::int64_t otherwise, std::int64_t most = kMostSize);
TRELLIS_API double positive(const Options&, std::string_view key, double otherwise);     // more than 0
TRELLIS_API double probability(const Options&, std::string_view key, double otherwise);  // 0 or more, less than 1
TRELLIS_API std::string word(const Options&, std::string_view key, const std::string& otherwise,
                             const std::vector<std::string>& known);
TRELLIS_API void require(const Options&, std::string_view key, bool wanted);
// Pixels of a side: a number, or two equal ones.
TRELLIS_API std::int64_t side(const Options&, std::string_view key, std::int64_t otherwise);
// The one of `architectures`, the name of a class of the public library; empty where the file does not say.
TRELLIS_API std::string architecture(const Options&, const std::vector<std::string>& known);
// Whether a head's table is the embedding's: what the tensors say counts, before the file, `said`. What that decided is
// added to `notes`.
TRELLIS_API bool tied(bool said, const std::string& head, const std::string& table, const WeightTensors&,
                      std::vector<std::string>& notes);
// pad_token_id, whose row of the table look-ups do not train: below `vocab` (negative ones count from its end).
// `otherwise` where the file does not say.
TRELLIS_API std::int64_t pad_token(const Options&, std::int64_t vocab, std::int64_t otherwise);
// Classes of a head that sorts samples: rows of its tensor `head`, or else as many as id2label has. Refuses heads for
// numbers, and for several classes at a time.
TRELLIS_API std::int64_t classes(const Options&, const std::string& head, const WeightTensors&);
// id2label and label2id of so many classes without names, as JSON: {"0": "LABEL_0", ...}, {"LABEL_0": 0, ...}.
template <class Json>
void add_labels(Json& config, std::int64_t classes) {
  Json names = Json::object(), numbers = Json::object();
  for (std::int64_t i = 0; i < classes; ++i) {
    const std::string number = std::to_string(i);
    names[number] = "LABEL_" + number;
    numbers["LABEL_" + number] = i;
  }
  config["id2label"] = std::move(names), config["label2id"] = std::move(numbers);
}

}  // namespace trellis::public_config
