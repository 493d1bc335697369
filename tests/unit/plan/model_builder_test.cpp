#include <doctest/doctest.h>

#include "plan/model/model_checks.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

std::vector<Dim> dims() {
  return {{"batch", "batch", 0},    {"sequence", "sequence", 12}, {"keys", "sequence", 12},
          {"hidden", "hidden", 16}, {"kv_heads", "heads", 2},     {"queries_per_kv", "heads", 2},
          {"head_dim", "other", 4}, {"ffn", "ffn", 32},           {"vocab", "vocab", 40}};
}

LayerBuilder::Names stream() { return {"batch", "sequence", "hidden"}; }

std::string message_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string names(const LayerSpec& layer, const std::vector<DimId>& ids) {
  std::string text;
  for (const DimId d : ids) text += (text.empty() ? "" : " ") + layer.dims.at(static_cast<std::size_t>(d)).name;
  return text;
}

}  // namespace

TEST_CASE("a linear with a bias is a product and a bias after it, in the region of its result") {
  LayerBuilder b("mlp", dims());
  const ValueId x = b.input("hidden", stream());
  const ValueId up = b.linear("up", x, {"ffn"}, true, 0.02);
  b.output("hidden", b.linear("down", up, {"hidden"}, true, 0.01));
  const LayerSpec layer = b.build();

  REQUIRE(layer.ops.size() == 4);
  CHECK(layer.ops[0].kind == "linear");
  CHECK(layer.ops[0].region == "linear");
  CHECK(layer.ops[1].kind == "bias");
  CHECK(layer.ops[1].name == "up.bias");
  CHECK(layer.ops[1].region == "linear");
  CHECK(layer.ops[3].name == "down.bias");
  CHECK(layer.ops[3].region == "residual");
  REQUIRE(layer.parameters.size() == 4);
  CHECK(layer.parameters[2].name == "down.weight");
  CHECK(names(layer, layer.parameters[2].dims) == "hidden ffn");
  CHECK(layer.parameters[2].init_std == 0.01);
  CHECK(layer.parameters[2].weight_decay);
  CHECK(layer.parameters[3].init == Parameter::Init::zeros);
  CHECK_FALSE(layer.parameters[3].weight_decay);
  CHECK(layer.parameter_elements() == 32 * 16 + 32 + 16 * 32 + 16);
}

TEST_CASE("a layer has only the dims that it uses") {
  LayerBuilder b("mlp", dims());
  b.output("hidden",
           b.linear("down", b.linear("up", b.input("hidden", stream()), {"ffn"}, false, 1), {"hidden"}, false, 1));
  const LayerSpec layer = b.build();
  CHECK(layer.dims.size() == 4);
  CHECK(layer.dims_of_role(kHeads).empty());
  CHECK(layer.dims_of_role(kSequence).size() == 1);
  CHECK(layer.shape(layer.values[0].dims, 8) == Shape{8, 12, 16});
  CHECK(layer.dim("ffn").size == 32);
  CHECK(message_of([&] { layer.dim("fnn"); }) == "layer 'mlp' has no dim 'fnn'\n    did you mean 'ffn'?");
}

TEST_CASE("attention calls the keys' sequence by a name of its own") {
  LayerBuilder b("block", dims());
  const ValueId x = b.input("hidden", stream());
  const ValueId q = b.linear("q", x, {"kv_heads", "queries_per_kv", "head_dim"}, false, 0.02);
  const ValueId k = b.linear("k", x, {"kv_heads", "head_dim"}, false, 0.02);
  const ValueId v = b.linear("v", x, {"kv_heads", "head_dim"}, false, 0.02);
  b.output("hidden", b.linear("out", b.attention("core", q, k, v, {.causal = true}), {"hidden"}, false, 0.02));
  const LayerSpec layer = b.build();
  const Op& attention = layer.ops[3];
  CHECK(names(layer, attention.input_dims[0]) == "batch sequence kv_heads queries_per_kv head_dim");
  CHECK(names(layer, attention.input_dims[1]) == "batch keys kv_heads head_dim");
  CHECK(names(layer, layer.ops[4].input_dims[0]) == "batch sequence kv_heads queries_per_kv head_dim");
  CHECK(names(layer, layer.parameters[3].dims) == "hidden kv_heads queries_per_kv head_dim");
  CHECK(attention.integer("causal") == 1);
  CHECK(attention.region == "attention");
}

TEST_CASE("a dim that would be both contracted and kept is rejected, or called by its second name") {
  auto two = dims();
  const auto build = [](const std::vector<Dim>& list) {
    LayerBuilder b("square", list);
    b.output("hidden", b.linear("square", b.input("hidden", {"batch", "sequence", "hidden"}), {"hidden"}, false, 0.02));
    return b.build();
  };
  CHECK(message_of([&] { build(two); }) ==
        "layer 'square', op 'square': dim 'hidden' is both contracted and kept\n"
        "    declare a dim 'hidden_in' of role hidden and size 16; the op calls the contracted one so");
  two.push_back({"hidden_in", "hidden", 16});
  const LayerSpec layer = build(two);
  CHECK(names(layer, layer.ops[0].input_dims[0]) == "batch sequence hidden_in");
  CHECK(names(layer, layer.parameters[0].dims) == "hidden hidden_in");
  CHECK(names(layer, layer.values[1].dims) == "batch sequence hidden");
}

TEST_CASE("dropout of nothing is no op, and a probability of one is none") {
  LayerBuilder b("layer", dims());
  const ValueId x = b.input("hidden", stream());
  CHECK(b.dropout("drop", x, 0.0) == x);
  CHECK(message_of([&] { b.dropout("drop", x, 1.0); }) ==
        "layer 'layer', op 'drop': dropout is 1; expected 0 or more and less than 1");
}

TEST_CASE("mistakes of a layer are named") {
  const auto layer = [](auto&& body) {
    return message_of([&] {
      LayerBuilder b("layer", dims());
      body(b, b.input("hidden", stream()));
      b.build();
    });
  };
  CHECK(layer([](LayerBuilder&, ValueId) {}) ==
        "layer 'layer' yields nothing\n    call output() or loss() before build()");
  CHECK(layer([](LayerBuilder& b, ValueId x) {
          b.gelu("lost", x, true);
          b.output("hidden", b.silu("kept", x));
        }) == "layer 'layer': nothing uses 'lost'\n    give it to an op, or to output() where it leaves the layer");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.output("hidden", b.silu("a", b.silu("a", x))); }) ==
        "layer 'layer' has two ops named 'a'");
  CHECK(layer([](LayerBuilder& b, ValueId) { b.silu("a", 7); }) ==
        "layer 'layer', op 'a': value 7 is not one of this layer\n    use the handles that its builder returned");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.linear("a", x, {"fn"}, false, 1); }) ==
        "layer 'layer' has no dim 'fn'\n    did you mean 'ffn'?");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.embedding("a", x, "vocab", "linear", 1); }) ==
        "layer 'layer', op 'a': 'hidden' is a real value; expected an integer field");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.add("a", x, b.linear("up", x, {"ffn"}, false, 1)); }) ==
        "layer 'layer', op 'a': its inputs have different dims, [batch sequence hidden] and [batch sequence ffn]");
  CHECK(layer([](LayerBuilder& b, ValueId x) {
          const ValueId q = b.linear("q", x, {"kv_heads", "queries_per_kv", "head_dim"}, false, 1),
                        k = b.linear("k", x, {"kv_heads", "head_dim"}, false, 1);
          b.attention("a", q, k, k, {.window = 4});
        }) == "layer 'layer', op 'a': a window of 4 tokens without causal\n"
              "    a window reaches back from a query: causal = true, window = 1 or more");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.loss(x); }) ==
        "layer 'layer': the loss has dims [batch sequence hidden]; expected a scalar");
  CHECK(layer([](LayerBuilder& b, ValueId x) { b.output("memory", x); }) ==
        "layer 'layer': input 'hidden' leaves as 'memory'; a value that a layer carries unchanged keeps its name");
  CHECK(message_of([] {
          LayerBuilder("layer", {{"a", "ffn", 0}});
        }) == "layer 'layer': dim 'a' has size 0; expected 1 or more");
  CHECK(message_of([] {
          LayerBuilder("layer", {{"a", "ffn", 2}, {"a", "vocab", 2}});
        }) == "layer 'layer' has two dims named 'a'");
}

TEST_CASE("a layer may carry a value that it does not change") {
  LayerBuilder b("decoder", dims());
  const ValueId memory = b.input("memory", stream());
  b.output("hidden", b.silu("act", b.input("hidden", stream())));
  b.output("memory", memory);
  const LayerSpec layer = b.build();
  CHECK(layer.inputs.size() == 2);
  CHECK(layer.outputs.size() == 2);
  CHECK(layer.outputs[1] == layer.inputs[0]);
}

TEST_CASE("attributes are read by type") {
  Op op{.kind = "k", .name = "n", .attributes = {{"i", std::int64_t{3}}, {"d", 0.5}, {"s", std::string("x")}}};
  CHECK(op.integer("i") == 3);
  CHECK(op.integer("absent", 8) == 8);
  CHECK(op.real("d") == 0.5);
  CHECK(op.real("i") == 3.0);
  CHECK(op.text("s") == "x");
  CHECK(message_of([&] { op.integer("d"); }) == "op 'n' (k): attribute 'd' is not an integer");
}

TEST_CASE("a shared parameter counts once in a model, and must be of one size") {
  const auto layer = [](std::int64_t vocab) {
    auto list = dims();
    list.back().size = vocab;
    LayerBuilder b("embedding", list);
    b.output("hidden", b.embedding("token", b.field("ids", {"batch", "sequence"}), "vocab", "linear", 0.02, "table"));
    return std::make_shared<const LayerSpec>(b.build());
  };
  CHECK(parameter_elements(ModelSpec{.layers = {layer(40), layer(40)}}) == 640);
  CHECK(message_of([&] {
          parameter_elements(ModelSpec{.layers = {layer(40), layer(50)}});
        }) == "layer 'embedding': 'token.weight' shares 'table', which has 640 elements elsewhere and 800 here");
}

TEST_CASE("what layers share is alike in all of them, and layers of one type are equal") {
  const auto layer = [](const std::string& type, std::int64_t vocab, std::int64_t hidden) {
    auto list = dims();
    list.back().size = vocab;
    for (Dim& dim : list)
      if (dim.name == "hidden") dim.size = hidden;
    LayerBuilder b(type, list);
    b.output("hidden", b.embedding("token", b.field("ids", {"batch", "sequence"}), "vocab", "linear", 0.02, "table"));
    return b.build();
  };
  const auto problem = [](std::vector<LayerSpec> layers) {
    ModelSpec model;
    for (LayerSpec& l : layers) model.layers.push_back(std::make_shared<const LayerSpec>(std::move(l)));
    return checks::sharing_problem(model);
  };
  CHECK(problem({layer("a", 40, 16), layer("b", 40, 16)}).empty());
  CHECK(problem({layer("a", 40, 16), layer("a", 40, 16)}).empty());
  CHECK(problem({layer("a", 40, 16), layer("b", 16, 40)}) ==
        "layer 'b': 'token.weight' shares 'table', which is [vocab 16, hidden 40] here, and [vocab 40, hidden 16] in "
        "'token.weight' of layer 'a'");
  CHECK(problem({layer("a", 40, 16), layer("a", 50, 16)}) ==
        "two layers of type 'a' differ; layers that differ need types of their own");
  LayerSpec ones = layer("b", 40, 16);
  ones.parameters.front().init = Parameter::Init::ones;
  CHECK(problem({layer("a", 40, 16), ones}) ==
        "layer 'b': 'token.weight' shares 'table', which begins as ones here, and normal in 'token.weight' of layer 'a'");
}

TEST_CASE("a fingerprint tells models apart and is the same for equal ones") {
  const auto model = [](double std) {
    LayerBuilder b("mlp", dims());
    b.output("hidden", b.linear("down", b.linear("up", b.input("hidden", stream()), {"ffn"}, false, std), {"hidden"},
                                false, 0.02));
    return ModelSpec{.family = "f", .layers = {std::make_shared<const LayerSpec>(b.build())}};
  };
  CHECK(fingerprint(model(0.02)) == fingerprint(model(0.02)));
  CHECK(fingerprint(model(0.02)) != fingerprint(model(0.03)));
  CHECK(fingerprint(model(0.02)).size() == 16);
}

}  // namespace trellis
