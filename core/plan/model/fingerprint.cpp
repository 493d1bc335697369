// The fingerprint of a model: a hash of a canonical text of all that planning and running depend on.
#include <iterator>

#include "trellis/plan/error.h"
#include "trellis/plan/model.h"

namespace trellis {
namespace {

using Text = std::back_insert_iterator<std::string>;

void write(Text out, const std::vector<int>& ids) { fmt::format_to(out, "[{}]", fmt::join(ids, " ")); }

void write(Text out, const Attribute& attribute) {
  std::visit([&](const auto& value) { fmt::format_to(out, "{}:{}", attribute.index(), value); }, attribute);
}

void write(Text out, const Op& op) {
  fmt::format_to(out, "op {} {} {}", op.kind, op.name, op.region);
  write(out, op.inputs);
  for (const auto& dims : op.input_dims) write(out, dims);
  write(out, op.parameters);
  fmt::format_to(out, " {}", op.output);
  for (const auto& [name, value] : op.attributes) {
    fmt::format_to(out, " {}=", name);
    write(out, value);
  }
  fmt::format_to(out, "\n");
}

std::string canonical(const LayerSpec& layer) {
  std::string text;
  Text out(text);
  fmt::format_to(out, "layer {}\n", layer.type);
  for (const Dim& d : layer.dims) fmt::format_to(out, "dim {} {} {}\n", d.name, d.role, d.size);
  for (const Value& v : layer.values) {
    fmt::format_to(out, "value {} {} ", v.name, static_cast<int>(v.kind));
    write(out, v.dims);
    fmt::format_to(out, "\n");
  }
  for (const Parameter& p : layer.parameters) {
    fmt::format_to(out, "parameter {} {} {} {} '{}' ", p.name, static_cast<int>(p.init), p.init_std, p.weight_decay,
                   p.shared);
    write(out, p.dims);
    fmt::format_to(out, "\n");
  }
  for (const Op& op : layer.ops) write(out, op);
  write(out, layer.inputs);
  write(out, layer.outputs);
  write(out, layer.fields);
  fmt::format_to(out, " {}\n", layer.losses.empty() ? "-1" : fmt::format("{}", fmt::join(layer.losses, " ")));
  return text;
}

// FNV-1a, 64 bits: known, tiny and the same everywhere. It tells models apart, it does not guard against malice.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) value_ = (value_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037ULL;
};

}  // namespace

std::string fingerprint(const ModelSpec& model) {
  Hash hash;
  hash.add(fmt::format("{} {} {}\n", model.family, model.sequence, model.vocab));
  std::map<const LayerSpec*, std::string> texts;  // identical layers share one object
  for (const auto& layer : model.layers) {
    const auto [entry, first] = texts.try_emplace(layer.get());
    if (first) entry->second = canonical(*layer);
    hash.add(entry->second);
  }
  return fmt::format("{:016x}", hash.value());
}

}  // namespace trellis
