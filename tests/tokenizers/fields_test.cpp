// Batch fields that no data has are told, and none where each has its kind of data.
#include <doctest/doctest.h>

#include "data/samples/suits.h"
#include "trellis/plan/builder.h"

namespace trellis {
namespace {

ModelSpec reading(const std::string& field) {
  LayerBuilder b("head", {{"batch", std::string(kBatch), 0}, {"sequence", std::string(kSequence), 4}, {"hidden", std::string(kHidden), 8},
                          {"vocab", std::string(kVocab), 16}});
  const ValueId x = b.embedding("token", b.field(field, {"batch", "sequence"}), "vocab", std::string(kLinear), 0.02, "table");
  b.loss(b.cross_entropy("lm_head", x, b.field("labels", {"batch", "sequence"}), "vocab", 16, 0.02, "table"));
  ModelSpec model;
  model.layers.push_back(std::make_shared<const LayerSpec>(b.build()));
  return model;
}

TEST_CASE("a batch field that no data has is told, with the nearest one and with all") {
  CHECK(data::unknown_fields(reading("ids")).empty());
  CHECK(data::unknown_fields(reading("decoder_ids")).empty());
  CHECK(data::unknown_fields(reading("idx")) ==
        std::vector<std::string>{"no data has the batch field 'idx'; did you mean 'ids'? data has decoder_ids, ids, labels, mask, "
                                 "next_sentence_labels, patches, positions, segments"});
  CHECK(data::unknown_fields(reading("tokens")) ==
        std::vector<std::string>{"no data has the batch field 'tokens'; data has decoder_ids, ids, labels, mask, "
                                 "next_sentence_labels, patches, positions, segments"});
}

}  // namespace
}  // namespace trellis
