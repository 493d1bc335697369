#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "support/paths.h"
#include "trellis/plan/catalog.h"
#include "trellis/plan/error.h"
#include "trellis/plan/model_family.h"

namespace trellis {
namespace {

const ModelFamily& gpt() {
  static const auto family = [] {
    const std::vector<std::filesystem::path> folders{testing::build_dir() / "plugins"};
    return Catalog::of(folders).family("gpt");
  }();
  return *family;
}

ModelSpec described(std::string_view text) { return gpt().describe(Options::from_text(text, "model.yaml")); }

ModelSpec configured(const std::string& name) {
  const Options file = Options::from_file(testing::source_dir() / "configs/models" / (name + ".yaml"));
  const Options model = file.section("model");
  CHECK(model.required<std::string>("use") == "gpt");
  ModelSpec spec = gpt().describe(model);
  model.finish();
  return spec;
}

std::string op_names(const LayerSpec& layer) {
  std::string text;
  for (const Op& op : layer.ops) text += (text.empty() ? "" : " ") + op.name;
  return text;
}

std::string message_of(std::string_view text) {
  try {
    described(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("published models have the published number of parameters") {
  CHECK(parameter_elements(described("{vocab_multiple: 1}")) == 124'439'808);
  CHECK(parameter_elements(configured("llama-7b")) == 6'738'415'616);
  CHECK(parameter_elements(configured("llama-13b")) == 13'015'864'320);
  CHECK(parameter_elements(configured("llama-70b")) == 68'976'648'192);
  CHECK(parameter_elements(configured("llama-405b")) == 405'853'388'800);
}

TEST_CASE("every shipped model describes itself") {
  for (const auto& entry : std::filesystem::directory_iterator(testing::source_dir() / "configs/models")) {
    CAPTURE(entry.path().string());
    const Options file = Options::from_file(entry.path());
    if (file.section("model").get("use", "") != "gpt") continue;
    const ModelSpec model = configured(entry.path().stem().string());
    CHECK(model.layers.front()->type == "embedding");
    CHECK(model.layers.back()->type == "head");
    CHECK(model.layers[1] == model.layers[model.layers.size() - 2]);
  }
}

TEST_CASE("the vocabulary is padded for all plans alike") {
  const ModelSpec model = described("{}");
  CHECK(model.vocab == 50257);
  CHECK(model.layers.front()->dim("vocab").size == 50304);
  CHECK(model.layers.back()->ops.back().integer("real_vocab") == 50257);
  CHECK(parameter_elements(model) == 124'439'808 + 47 * 768);
}

TEST_CASE("a gpt2 block is norms, attention and a gelu, with biases") {
  const ModelSpec model = described("{layers: 2, dropout: 0.1}");
  CHECK(model.layers.size() == 4);
  CHECK(op_names(*model.layers[0]) == "token position sum dropout");
  CHECK(op_names(*model.layers[1]) ==
        "ln_1 attn.q attn.q.bias attn.k attn.k.bias attn.v attn.v.bias attn.core attn.out attn.out.bias attn.dropout "
        "attn.sum ln_2 mlp.up mlp.up.bias mlp.act mlp.down mlp.down.bias mlp.dropout mlp.sum");
  CHECK(op_names(*model.layers[3]) == "ln_f lm_head");
  CHECK(model.layers[1]->fields.empty());
}

TEST_CASE("a llama block is rotary, gated and without biases") {
  const ModelSpec model = described("{shape: llama, layers: 1}");
  CHECK(op_names(*model.layers[0]) == "token");
  CHECK(op_names(*model.layers[1]) ==
        "ln_1 attn.q attn.k attn.v attn.rotary_q attn.rotary_k attn.core attn.out attn.sum ln_2 mlp.gate mlp.up "
        "mlp.act mlp.gated mlp.down mlp.sum");
  CHECK(model.layers[1]->fields.size() == 1);
  CHECK(model.layers[1]->dim("ffn").size == 11008);
}

TEST_CASE("a tied head shares the embedding's table") {
  const auto shared = [](const ModelSpec& model) {
    return model.layers.front()->parameters.front().shared + " " + model.layers.back()->parameters.back().shared;
  };
  CHECK(shared(described("{}")) == "embedding.weight embedding.weight");
  CHECK(shared(described("{tied: off}")) == " ");
}

TEST_CASE("products into the residual stream start smaller, by the depth") {
  const ModelSpec model = described("{layers: 8}");
  for (const Parameter& p : model.layers[1]->parameters) {
    if (p.name == "attn.out.weight" || p.name == "mlp.down.weight") CHECK(p.init_std == doctest::Approx(0.005));
    if (p.name == "attn.q.weight" || p.name == "mlp.up.weight") CHECK(p.init_std == 0.02);
  }
}

TEST_CASE("regions are those of Megatron's sequence parallelism") {
  const ModelSpec model = described("{layers: 1, dropout: 0.1}");
  std::string residual;
  for (const auto& layer : model.layers)
    for (const Op& op : layer->ops)
      if (op.region == kResidual) residual += op.name + " ";
  CHECK(residual ==
        "position sum dropout ln_1 attn.out.bias attn.dropout attn.sum ln_2 mlp.down.bias mlp.dropout mlp.sum ln_f ");
}

TEST_CASE("shrinking keeps what is special about a model") {
  const Options small = gpt().shrink(
      Options::from_text("{shape: llama, heads: 64, kv_heads: 8, hidden: 8192, dropout: 0.25, tied: on}", "m"));
  const ModelSpec model = gpt().describe(small);
  small.finish();
  CHECK(model.layers.size() == 5);
  const LayerSpec& block = *model.layers[1];
  CHECK(block.dim("hidden").size == 16);
  CHECK(block.dim("kv_heads").size == 2);
  CHECK(block.dim("queries_per_kv").size == 2);
  CHECK(block.dim("head_dim").size == 4);
  CHECK(block.dim("ffn").size == 32);
  CHECK(op_names(block).find("mlp.dropout") != std::string::npos);
  CHECK(model.layers.back()->dim("vocab").size == 40);
  CHECK(model.vocab == 37);
  CHECK(model.sequence == 12);
  CHECK(model.layers.back()->parameters.back().shared == "embedding.weight");
}

TEST_CASE("biases are chosen for queries, keys and values, the output and the MLP") {
  CHECK(op_names(*described("{shape: llama, layers: 1, qkv_bias: on}").layers[1]).find("attn.q.bias attn.k attn.k.bias attn.v attn.v.bias") !=
        std::string::npos);
  CHECK(op_names(*described("{shape: gpt2, layers: 1, mlp_bias: off, out_bias: off}").layers[1]) ==
        "ln_1 attn.q attn.q.bias attn.k attn.k.bias attn.v attn.v.bias attn.core attn.out attn.sum ln_2 mlp.up mlp.act "
        "mlp.down mlp.sum");
}

TEST_CASE("a table of positions may have more rows than a sample has tokens, and not fewer") {
  CHECK(described("{sequence: 64, max_positions: 1024}").layers.front()->dim("positions").size == 1024);
  CHECK(message_of("{sequence: 64, max_positions: 32}") ==
        "model.yaml:1:12: sequence: 64 tokens, and the table of positions has 32 rows (max_positions)");
}

TEST_CASE("a window that a sample does not exceed changes nothing") {
  CHECK(fingerprint(described("{shape: llama, sequence: 64, window: 64}")) ==
        fingerprint(described("{shape: llama, sequence: 64}")));
  CHECK(fingerprint(described("{shape: llama, sequence: 64, window: 64, window_layers: \"3,5-7\"}")) ==
        fingerprint(described("{shape: llama, sequence: 64}")));
}

TEST_CASE("blocks with a window and without are of two types, shared by all of each") {
  const ModelSpec all = described("{layers: 3, sequence: 64, window: 16}");
  CHECK(all.layers[1]->type == "block");
  CHECK(all.layers[1] == all.layers[3]);
  const auto window_of = [](const ModelSpec& model, std::size_t layer) {
    for (const Op& op : model.layers[layer]->ops)
      if (op.kind == "attention") return op.integer("window");
    return std::int64_t{-1};
  };
  CHECK(window_of(all, 3) == 16);
  const ModelSpec some = described("{layers: 4, sequence: 64, window: 16, window_layers: \"1,3\"}");
  CHECK(some.layers[1]->type == "block");
  CHECK(some.layers[2]->type == "window_block");
  CHECK(some.layers[2] == some.layers[4]);
  CHECK(some.layers[1] == some.layers[3]);
  CHECK(window_of(some, 1) == 0);
  CHECK(window_of(some, 2) == 16);
  CHECK(some.properties.at("window") == "16 in 2 of 4 blocks");
  CHECK(fingerprint(described("{layers: 4, window: 0, window_layers: 0-1}")) == fingerprint(described("{layers: 4}")));
  CHECK(message_of("{layers: 4, window_layers: 0-3}") ==
        "model.yaml:1:28: window_layers: there is no window\n    write window: the number of tokens");
  CHECK(message_of("{layers: 4, window: 8, window_layers: 2-4}") ==
        "model.yaml:1:39: window_layers: there is no block 4; the model has blocks 0-3");
  CHECK(message_of("{layers: 4, window: 8, window_layers: last}").find("write all, or blocks from 0 on") != std::string::npos);
}

TEST_CASE("options that cannot be are rejected at their place") {
  CHECK(message_of("{shape: gtp2}") == "model.yaml:1:9: shape: there is no 'gtp2'\n    did you mean 'gpt2'?");
  CHECK(message_of("{hidden: 100, heads: 3}") ==
        "model.yaml:1:22: heads: 3 heads do not divide hidden 100\n    change one of them, or write head_dim");
  CHECK(message_of("{heads: 12, kv_heads: 5}") ==
        "model.yaml:1:23: kv_heads: 5 kv heads do not divide 12 heads\n"
        "    every kv head serves the same number of query heads");
  CHECK(message_of("{layers: 0}") == "model.yaml:1:10: layers: found 0; expected 1 or more");
  CHECK(message_of("{rope_scaling: {type: linear, factor: 2}}") ==
        "model.yaml:1:16: rope_scaling: it slows rotary positions, and these are learned");
  CHECK(message_of("{shape: llama, rope_scaling: {type: yarn}}") ==
        "model.yaml:1:37: rope_scaling.type: there is no 'yarn'\n    one of: default, linear, llama3");
  CHECK(message_of("{shape: llama, rope_scaling: {type: linear, factor: 0.5}}") ==
        "model.yaml:1:53: rope_scaling.factor: found 0.5; expected 1 or more");
  CHECK(message_of("{shape: llama, rope_scaling: {type: llama3, factor: 8, original_max_positions: 64, "
                   "low_freq_factor: 4, high_freq_factor: 1}}") ==
        "model.yaml:1:122: rope_scaling.high_freq_factor: found 1; expected more than low_freq_factor, 4");
  CHECK(message_of("{dropout: 1.0}") == "model.yaml:1:11: dropout: found 1; expected 0 or more, less than 1");
}

}  // namespace trellis
