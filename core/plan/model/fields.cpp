// What the batch fields of a model have to hold, read off the ops that take them.
#include <algorithm>

#include "trellis/plan/error.h"
#include "trellis/plan/op.h"

namespace trellis {
namespace {

const Value& value_of(const LayerSpec& layer, ValueId x) { return layer.values.at(static_cast<std::size_t>(x)); }

FieldSpec shape_of(const LayerSpec& layer, const Value& value) {
  FieldSpec field;
  std::size_t next = 1;
  const auto dim = [&](std::size_t i) -> const Dim& { return layer.dims.at(static_cast<std::size_t>(value.dims[i])); };
  if (value.dims.size() > 1 && dim(1).role == kSequence) {
    field.sequence = dim(1).name;
    field.positions = dim(1).size;
    ++next;
  }
  if (next < value.dims.size()) {
    field.features = 1;
    for (; next < value.dims.size(); ++next) field.features *= dim(next).size;
  }
  return field;
}

// Two ops may take ids of tables that differ in length: the shorter one decides.
void join(const std::string& name, FieldSpec& known, const FieldSpec& other) {
  if (known.range.kind != other.range.kind || known.positions != other.positions || known.features != other.features)
    throw Error(ExitCode::bad_input, fmt::format("the batch field '{}' is taken in two ways", name),
                "give each its own name: a data source fills a field once");
  if (other.range.values > 0)
    known.range.values = known.range.values > 0 ? std::min(known.range.values, other.range.values) : other.range.values;
}

}  // namespace

std::string_view counted_field(const LayerSpec& layer, const Op& op) {
  for (const ValueId x : op.inputs)
    if (value_of(layer, x).kind == ValueKind::integer) return value_of(layer, x).name;
  fail("layer '{}', op '{}': a loss counts the entries of an integer field, and this op takes none", layer.type, op.name);
}

std::map<std::string, FieldSpec> fields_of(const ModelSpec& model, const OpLibrary& ops) {
  std::map<std::string, FieldSpec> fields;
  const LayerSpec* last = nullptr;
  for (const auto& layer : model.layers) {
    if (layer.get() == last) continue;
    last = layer.get();
    std::int64_t rows = 0;  // of the padded vocabulary
    for (const Dim* dim : layer->dims_of_role(kVocab)) rows = std::max(rows, dim->size);
    for (const Op& op : layer->ops)
      for (std::size_t i = 0; i < op.inputs.size(); ++i) {
        if (!layer->is_field(op.inputs[i])) continue;
        const Value& value = value_of(*layer, op.inputs[i]);
        FieldSpec field = shape_of(*layer, value);
        field.range = value.kind == ValueKind::real ? FieldRange{.kind = FieldKind::real}
                                                    : ops.find(op.kind).field(*layer, op, i);
        if (field.range.kind == FieldKind::ids && field.range.values == rows && model.vocab > 0)
          field.range.values = std::min(field.range.values, model.vocab);
        const auto [entry, fresh] = fields.try_emplace(value.name, field);
        if (!fresh) join(value.name, entry->second, field);
      }
  }
  return fields;
}

}  // namespace trellis
