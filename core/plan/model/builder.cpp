#include "trellis/plan/builder.h"

#include <algorithm>
#include <set>

#include "plan/model/layer_checks.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

bool is_residual(const LayerSpec& layer, ValueId x) {
  const auto& dims = layer.values[static_cast<std::size_t>(x)].dims;
  return !dims.empty() && layer.dims[static_cast<std::size_t>(dims.back())].role == kHidden;
}

std::string region_of(const LayerSpec& layer, ValueId x) {
  return std::string(is_residual(layer, x) ? kResidual : kLinear);
}

std::string names(const LayerSpec& layer, const std::vector<DimId>& dims) {
  std::vector<std::string_view> list;
  for (const DimId d : dims) list.push_back(layer.dims[static_cast<std::size_t>(d)].name);
  return fmt::format("[{}]", fmt::join(list, " "));
}

bool contains(const std::vector<DimId>& dims, DimId d) { return std::find(dims.begin(), dims.end(), d) != dims.end(); }

[[noreturn]] void reject(const LayerSpec& layer, std::string_view op, std::string_view message, std::string hint = {}) {
  throw Error(ExitCode::bad_input, fmt::format("layer '{}', op '{}': {}", layer.type, op, message), std::move(hint));
}

// The dims of a value, after checks that it exists and is of the right kind.
const std::vector<DimId>& dims_of(const LayerSpec& layer, std::string_view op, ValueId x,
                                  ValueKind kind = ValueKind::real) {
  if (x < 0 || static_cast<std::size_t>(x) >= layer.values.size())
    reject(layer, op, fmt::format("value {} is not one of this layer", x), "use the handles that its builder returned");
  const Value& value = layer.values[static_cast<std::size_t>(x)];
  if (value.kind != kind)
    reject(layer, op,
           fmt::format("'{}' is {}; expected {}", value.name,
                       value.kind == ValueKind::integer ? "an integer field" : "a real value",
                       kind == ValueKind::integer ? "an integer field" : "a real value"));
  return value.dims;
}

// Integer fields beside a value have its leading dims: positions and labels b s of b s h.
void check_leading(const LayerSpec& layer, std::string_view op, const std::vector<DimId>& field,
                   const std::vector<DimId>& x) {
  if (field.size() >= x.size() || !std::equal(field.begin(), field.end(), x.begin()))
    reject(layer, op, fmt::format("a field over {} does not index {}", names(layer, field), names(layer, x)),
           "its dims must be the first ones of the value");
}

void check_probability(const LayerSpec& layer, std::string_view op, double p) {
  if (!(p >= 0 && p < 1)) reject(layer, op, fmt::format("dropout is {}; expected 0 or more and less than 1", p));
}

}  // namespace

LayerBuilder::LayerBuilder(std::string type, std::vector<Dim> dims) {
  spec_.type = std::move(type);
  spec_.dims = std::move(dims);
  checks::check_dims(spec_);
}

DimId LayerBuilder::dim(std::string_view name) const {
  return static_cast<DimId>(&spec_.dim(name) - spec_.dims.data());
}

ValueId LayerBuilder::value(std::string name, std::vector<DimId> dims, ValueKind kind) {
  spec_.values.push_back({.name = std::move(name), .dims = std::move(dims), .kind = kind});
  return static_cast<ValueId>(spec_.values.size() - 1);
}

ParameterId LayerBuilder::parameter(Parameter p) {
  spec_.parameters.push_back(std::move(p));
  return static_cast<ParameterId>(spec_.parameters.size() - 1);
}

ValueId LayerBuilder::op(Op op, std::vector<DimId> out_dims) {
  op.output = value(op.name, std::move(out_dims));
  spec_.ops.push_back(std::move(op));
  return spec_.ops.back().output;
}

ValueId LayerBuilder::input(std::string name, const Names& dims) {
  std::vector<DimId> ids;
  for (const auto& d : dims) ids.push_back(dim(d));
  return spec_.inputs.emplace_back(value(std::move(name), std::move(ids)));
}

ValueId LayerBuilder::field(std::string name, const Names& dims, ValueKind kind) {
  std::vector<DimId> ids;
  for (const auto& d : dims) ids.push_back(dim(d));
  return spec_.fields.emplace_back(value(std::move(name), std::move(ids), kind));
}

void LayerBuilder::output(std::string name, ValueId x) {
  dims_of(spec_, "output " + name, x);
  Value& value = spec_.values[static_cast<std::size_t>(x)];
  const bool from_edge = std::find(spec_.inputs.begin(), spec_.inputs.end(), x) != spec_.inputs.end();
  if (std::find(spec_.outputs.begin(), spec_.outputs.end(), x) != spec_.outputs.end())
    fail("layer '{}': '{}' leaves twice", spec_.type, value.name);
  if (from_edge && value.name != name)
    fail("layer '{}': input '{}' leaves as '{}'; a value that a layer carries unchanged keeps its name", spec_.type,
         value.name, name);
  value.name = std::move(name);
  spec_.outputs.push_back(x);
}

void LayerBuilder::loss(ValueId x) {
  if (!dims_of(spec_, "loss", x).empty())
    fail("layer '{}': the loss has dims {}; expected a scalar", spec_.type,
         names(spec_, spec_.values[static_cast<std::size_t>(x)].dims));
  if (std::find(spec_.losses.begin(), spec_.losses.end(), x) != spec_.losses.end())
    fail("layer '{}' counts one loss twice", spec_.type);
  spec_.losses.push_back(x);
}

ValueId LayerBuilder::embedding(std::string name, ValueId ids, std::string rows, std::string region, double init_std,
                                std::string shared, std::int64_t untrained) {
  const auto token_dims = dims_of(spec_, name, ids, ValueKind::integer);
  const auto hidden = spec_.dims_of_role(kHidden);
  if (hidden.empty()) reject(spec_, name, "the layer has no dim of role hidden for the rows of the table");
  const DimId h = dim(hidden.front()->name);
  auto out = token_dims;
  out.push_back(h);
  const ParameterId table =
      parameter({.name = name + ".weight", .dims = {dim(rows), h}, .init_std = init_std, .shared = std::move(shared)});
  if (untrained < -1 || untrained >= spec_.dims[static_cast<std::size_t>(dim(rows))].size)
    reject(spec_, name, fmt::format("row {} is to be left untrained, and the table has {}", untrained,
                                    spec_.dims[static_cast<std::size_t>(dim(rows))].size));
  Op result{.kind = "embedding",
            .name = std::move(name),
            .region = std::move(region),
            .inputs = {ids},
            .input_dims = {token_dims},
            .parameters = {table}};
  if (untrained >= 0) result.attributes["untrained"] = untrained;
  return op(std::move(result), std::move(out));
}

ValueId LayerBuilder::layer_norm(std::string name, ValueId x, double eps, bool bias) {
  const auto dims = dims_of(spec_, name, x);
  if (dims.empty()) reject(spec_, name, "a scalar cannot be normalized");
  std::vector<ParameterId> parameters{parameter(
      {.name = name + ".weight", .dims = {dims.back()}, .init = Parameter::Init::ones, .weight_decay = false})};
  if (bias)
    parameters.push_back(parameter(
        {.name = name + ".bias", .dims = {dims.back()}, .init = Parameter::Init::zeros, .weight_decay = false}));
  return op({.kind = "layer_norm",
             .name = std::move(name),
             .region = std::string(kResidual),
             .inputs = {x},
             .input_dims = {dims},
             .parameters = std::move(parameters),
             .attributes = {{"eps", eps}}},
            dims);
}

ValueId LayerBuilder::rms_norm(std::string name, ValueId x, double eps) {
  const auto dims = dims_of(spec_, name, x);
  if (dims.empty()) reject(spec_, name, "a scalar cannot be normalized");
  const ParameterId weight = parameter(
      {.name = name + ".weight", .dims = {dims.back()}, .init = Parameter::Init::ones, .weight_decay = false});
  return op({.kind = "rms_norm",
             .name = std::move(name),
             .region = std::string(kResidual),
             .inputs = {x},
             .input_dims = {dims},
             .parameters = {weight},
             .attributes = {{"eps", eps}}},
            dims);
}

ValueId LayerBuilder::linear(std::string name, ValueId x, const Names& out, bool bias, double init_std) {
  std::vector<DimId> out_ids;
  for (const auto& d : out) out_ids.push_back(dim(d));
  auto in_dims = dims_of(spec_, name, x);
  std::vector<DimId> weight = out_ids, result;
  for (DimId& d : in_dims) {
    const std::string dim_name = spec_.dims[static_cast<std::size_t>(d)].name;
    const std::string role = spec_.dims[static_cast<std::size_t>(d)].role;
    if (role == kBatch || role == kSequence) {
      if (contains(out_ids, d)) reject(spec_, name, fmt::format("dim '{}' is already one of its input's", dim_name));
      result.push_back(d);
      continue;
    }
    if (contains(out_ids, d)) d = checks::renamed(spec_, name, d, dim_name + "_in");
    weight.push_back(d);
  }
  if (weight.size() == out_ids.size()) reject(spec_, name, "no dim is left to contract: batch and sequence never are");
  result.insert(result.end(), out_ids.begin(), out_ids.end());

  const ParameterId w = parameter({.name = name + ".weight", .dims = weight, .init_std = init_std});
  const bool is_cut = std::any_of(weight.begin(), weight.end(), [&](DimId d) {
    const std::string& role = spec_.dims[static_cast<std::size_t>(d)].role;
    return role != kHidden && role != kOther;
  });
  ValueId y = op({.kind = "linear",
                  .name = name,
                  .region = std::string(is_cut ? kLinear : kResidual),
                  .inputs = {x},
                  .input_dims = {in_dims},
                  .parameters = {w}},
                 result);
  if (!bias) return y;
  const ParameterId b =
      parameter({.name = name + ".bias", .dims = out_ids, .init = Parameter::Init::zeros, .weight_decay = false});
  return op({.kind = "bias",
             .name = name + ".bias",
             .region = region_of(spec_, y),
             .inputs = {y},
             .input_dims = {result},
             .parameters = {b}},
            result);
}

ValueId LayerBuilder::rotary(std::string name, ValueId x, ValueId positions, double theta,
                             const RotaryScaling& scaling) {
  const auto dims = dims_of(spec_, name, x);
  const auto position_dims = dims_of(spec_, name, positions, ValueKind::integer);
  check_leading(spec_, name, position_dims, dims);
  if (const Dim& head = spec_.dims[static_cast<std::size_t>(dims.back())]; head.size % 2 != 0)
    reject(spec_, name, fmt::format("{} is {}; rotation is of pairs, so it must be even", head.name, head.size));
  std::map<std::string, Attribute> attributes{{"theta", theta}};
  if (scaling.factor != 1) attributes.emplace("factor", scaling.factor);
  if (scaling.factor != 1 && scaling.original_positions > 0) {
    attributes.emplace("original_positions", scaling.original_positions);
    attributes.emplace("low_turns", scaling.low_turns);
    attributes.emplace("high_turns", scaling.high_turns);
  }
  return op({.kind = "rotary",
             .name = std::move(name),
             .region = std::string(kLinear),
             .inputs = {x, positions},
             .input_dims = {dims, position_dims},
             .attributes = std::move(attributes)},
            dims);
}

ValueId LayerBuilder::attention(std::string name, ValueId q, ValueId k, ValueId v, const AttentionOptions& o) {
  const auto query = dims_of(spec_, name, q);
  auto key = dims_of(spec_, name, k);
  check_probability(spec_, name, o.dropout);
  if (dims_of(spec_, name, v) != key)
    reject(spec_, name,
           fmt::format("keys are {} and values {}; expected the same dims", names(spec_, key),
                       names(spec_, dims_of(spec_, name, v))));
  if (query.size() != 5 || key.size() != 4 || key[0] != query[0] || key[2] != query[2] || key[3] != query[4])
    reject(spec_, name, fmt::format("queries are {} and keys {}", names(spec_, query), names(spec_, key)),
           "expected batch sequence kv_heads queries_per_kv head_dim, and the same without queries_per_kv");
  const std::vector<DimId> tokens{key[0], key[1]};
  if (key[1] == query[1]) {
    const std::string own = spec_.dims[static_cast<std::size_t>(key[1])].name + "_keys";
    const bool has_own = std::any_of(spec_.dims.begin(), spec_.dims.end(), [&](const Dim& d) { return d.name == own; });
    key[1] = checks::renamed(spec_, name, key[1], has_own ? own : "keys");
  }
  Op result{.kind = "attention",
            .name = name,
            .region = std::string(kAttention),
            .inputs = {q, k, v},
            .input_dims = {query, key, key},
            .attributes = {{"causal", std::int64_t{o.causal}}, {"dropout", o.dropout}}};
  if (o.window < 0 || (o.window > 0 && !o.causal))
    reject(spec_, name, fmt::format("a window of {} tokens{}", o.window, o.causal ? "" : " without causal"),
           "a window reaches back from a query: causal = true, window = 1 or more");
  // One that no sequence exceeds changes nothing: layers are the same with it and without.
  if (o.window > 0 && o.window < spec_.dims[static_cast<std::size_t>(query[1])].size) result.attributes["window"] = o.window;
  if (o.mask >= 0) {
    if (dims_of(spec_, name, o.mask, ValueKind::integer) != tokens)
      reject(spec_, name,
             fmt::format("the mask is {}; expected {}, as the keys have it",
                         names(spec_, dims_of(spec_, name, o.mask, ValueKind::integer)), names(spec_, tokens)));
    result.inputs.push_back(o.mask);
    result.input_dims.push_back({key[0], key[1]});
  }
  if (o.scale != 0) result.attributes["scale"] = o.scale;
  if (!o.buckets.empty()) {
    const DimId rows = dim(o.buckets);
    const std::int64_t count = spec_.dims[static_cast<std::size_t>(rows)].size, sides = o.causal ? 1 : 2;
    if (count % (2 * sides) != 0 || o.max_distance <= count / (2 * sides))
      reject(spec_, name, fmt::format("{} buckets and distances up to {}", count, o.max_distance),
             fmt::format("expected a multiple of {} buckets, and a larger distance than {}, those that are exact",
                         2 * sides, count / (2 * sides)));
    result.parameters.push_back(parameter(
        {.name = name + ".bias", .dims = {rows, query[2], query[3]}, .init_std = o.bias_std, .shared = o.shared}));
    result.attributes["max_distance"] = o.max_distance;
  }
  return op(std::move(result), query);
}

ValueId LayerBuilder::bias_at(std::string name, ValueId x, std::int64_t first, std::int64_t last, Parameter::Init init,
                              double init_std) {
  const auto dims = dims_of(spec_, name, x);
  if (dims.size() < 3 || spec_.dims[static_cast<std::size_t>(dims[1])].role != kSequence)
    reject(spec_, name, fmt::format("{} has no positions", names(spec_, dims)), "expected batch sequence ...");
  const std::int64_t positions = spec_.dims[static_cast<std::size_t>(dims[1])].size;
  const std::int64_t end = last < 0 ? positions : last;
  if (first < 0 || first >= end || end > positions)
    reject(spec_, name, fmt::format("positions {} to {} of {}", first, end, positions));
  const ParameterId b =
      parameter({.name = name, .dims = {dims.back()}, .init = init, .init_std = init_std, .weight_decay = false});
  return op({.kind = "bias_at",
             .name = std::move(name),
             .region = region_of(spec_, x),
             .inputs = {x},
             .input_dims = {dims},
             .parameters = {b},
             .attributes = {{"first", first}, {"last", end}}},
            dims);
}

ValueId LayerBuilder::pick(std::string name, ValueId x, std::int64_t position) {
  auto dims = dims_of(spec_, name, x);
  if (dims.size() < 3 || spec_.dims[static_cast<std::size_t>(dims[1])].role != kSequence)
    reject(spec_, name, fmt::format("{} has no positions", names(spec_, dims)), "expected batch sequence ...");
  if (const std::int64_t positions = spec_.dims[static_cast<std::size_t>(dims[1])].size;
      position < 0 || position >= positions)
    reject(spec_, name, fmt::format("there is no position {} among {}", position, positions));
  auto out = dims;
  out.erase(out.begin() + 1);
  return op({.kind = "pick",
             .name = std::move(name),
             .region = region_of(spec_, x),
             .inputs = {x},
             .input_dims = {dims},
             .attributes = {{"position", position}}},
            std::move(out));
}

ValueId LayerBuilder::pointwise(std::string kind, std::string name, ValueId x,
                                std::map<std::string, Attribute> attributes) {
  const auto dims = dims_of(spec_, name, x);
  return op({.kind = std::move(kind),
             .name = std::move(name),
             .region = region_of(spec_, x),
             .inputs = {x},
             .input_dims = {dims},
             .attributes = std::move(attributes)},
            dims);
}

ValueId LayerBuilder::gelu(std::string name, ValueId x, bool tanh) {
  return pointwise("gelu", std::move(name), x, {{"tanh", std::int64_t{tanh}}});
}
ValueId LayerBuilder::silu(std::string name, ValueId x) { return pointwise("silu", std::move(name), x); }
ValueId LayerBuilder::relu(std::string name, ValueId x) { return pointwise("relu", std::move(name), x); }
ValueId LayerBuilder::tanh(std::string name, ValueId x) { return pointwise("tanh", std::move(name), x); }
ValueId LayerBuilder::scale(std::string name, ValueId x, double factor) {
  return pointwise("scale", std::move(name), x, {{"factor", factor}});
}

ValueId LayerBuilder::multiply(std::string name, ValueId x, ValueId y) {
  const auto dims = dims_of(spec_, name, x);
  if (const auto other = dims_of(spec_, name, y); other != dims)
    reject(spec_, name, fmt::format("its inputs have different dims, {} and {}", names(spec_, dims), names(spec_, other)));
  return op({.kind = "multiply",
             .name = std::move(name),
             .region = region_of(spec_, x),
             .inputs = {x, y},
             .input_dims = {dims, dims}},
            dims);
}

ValueId LayerBuilder::add(std::string name, ValueId x, ValueId y) {
  const auto dims = dims_of(spec_, name, x);
  if (const auto other = dims_of(spec_, name, y); other != dims)
    reject(spec_, name, fmt::format("its inputs have different dims, {} and {}", names(spec_, dims), names(spec_, other)));
  return op({.kind = "add",
             .name = std::move(name),
             .region = region_of(spec_, x),
             .inputs = {x, y},
             .input_dims = {dims, dims}},
            dims);
}

ValueId LayerBuilder::dropout(std::string name, ValueId x, double p) {
  dims_of(spec_, name, x);
  check_probability(spec_, name, p);
  return p == 0 ? x : pointwise("dropout", std::move(name), x, {{"p", p}});
}

ValueId LayerBuilder::cross_entropy(std::string name, ValueId x, ValueId labels, std::string vocab,
                                    std::int64_t real_vocab, double init_std, std::string shared, std::int64_t chunk, bool bias,
                                    double weight) {
  const auto dims = dims_of(spec_, name, x);
  const auto label_dims = dims_of(spec_, name, labels, ValueKind::integer);
  check_leading(spec_, name, label_dims, dims);
  if (label_dims.size() + 1 != dims.size())
    reject(spec_, name,
           fmt::format("labels {} do not count the rows of {}", names(spec_, label_dims), names(spec_, dims)));
  const DimId v = dim(vocab);
  if (const auto rows = spec_.dims[static_cast<std::size_t>(v)].size; real_vocab < 1 || real_vocab > rows)
    reject(spec_, name, fmt::format("real_vocab is {}; expected 1 to {}, the size of '{}'", real_vocab, rows, vocab));
  if (chunk < 1) reject(spec_, name, fmt::format("chunk is {} tokens; expected 1 or more", chunk));
  const ParameterId table = parameter(
      {.name = name + ".weight", .dims = {v, dims.back()}, .init_std = init_std, .shared = std::move(shared)});
  Op loss{.kind = "cross_entropy",
          .name = name,
          .region = std::string(kLoss),
          .inputs = {x, labels},
          .input_dims = {dims, label_dims},
          .parameters = {table},
          .attributes = {{"chunk", chunk}, {"real_vocab", real_vocab}}};
  if (bias)
    loss.parameters.push_back(
        parameter({.name = name + ".bias", .dims = {v}, .init = Parameter::Init::zeros, .weight_decay = false}));
  if (weight != 1) loss.attributes["weight"] = weight;
  return op(std::move(loss), {});
}

LayerSpec LayerBuilder::build() {
  checks::check_layer(spec_);
  LayerSpec layer = spec_;
  checks::drop_unused_dims(layer);
  return layer;
}

}  // namespace trellis
