// Layers that have the dims of real ones and no ops: enough for what looks at dims only.
#pragma once

#include "trellis/plan/model.h"

namespace trellis::test {

// 12 heads as kv_heads x queries; ffn features.
inline LayerSpec block_dims(std::int64_t kv_heads = 12, std::int64_t queries = 1, std::int64_t ffn = 3072) {
  LayerSpec spec;
  spec.type = "block";
  spec.dims = {{"b", std::string(kBatch), 0},       {"s", std::string(kSequence), 128},
               {"h", std::string(kHidden), 768},    {"g", std::string(kHeads), kv_heads},
               {"r", std::string(kHeads), queries}, {"d", std::string(kOther), 64},
               {"f", std::string(kFfn), ffn}};
  spec.values = {{"hidden", {0, 1, 2}, ValueKind::real},
                 {"k", {0, 1, 3, 5}, ValueKind::real},
                 {"q", {0, 1, 3, 4, 5}, ValueKind::real},
                 {"up", {0, 1, 6}, ValueKind::real}};
  return spec;
}

inline LayerSpec embedding_dims(std::int64_t vocab = 50304) {
  LayerSpec spec;
  spec.type = "embedding";
  spec.dims = {{"b", std::string(kBatch), 0},
               {"s", std::string(kSequence), 128},
               {"h", std::string(kHidden), 768},
               {"v", std::string(kVocab), vocab}};
  spec.values = {{"ids", {0, 1}, ValueKind::integer}, {"hidden", {0, 1, 2}, ValueKind::real}};
  spec.parameters = {{.name = "table", .dims = {3, 2}}};
  return spec;
}

// b h only: what stands after a sequence was pooled away.
inline LayerSpec pooled_dims() {
  LayerSpec spec;
  spec.type = "pooled";
  spec.dims = {{"b", std::string(kBatch), 0}, {"h", std::string(kHidden), 768}};
  spec.values = {{"hidden", {0, 1}, ValueKind::real}};
  return spec;
}

}  // namespace trellis::test
