#include <doctest/doctest.h>

#include "conformance/broken_rules.h"
#include "plan/plugin/conformance/roles.h"
#include "trellis/plan/builder.h"
#include "trellis/plan/weights.h"

namespace trellis {
namespace {

using testing::broken_rules;
using testing::Rules;

using Layer = std::shared_ptr<const LayerSpec>;

// A right family: numbers to hidden, hidden to hidden, hidden to a loss.
class Tiny : public ModelFamily {
 public:
  ModelSpec describe(const Options& options) const override {
    const auto hidden = options.get("hidden", std::int64_t{8});
    ModelSpec model;
    model.family = "tiny";
    model.summary = "3 layers";
    model.layers = {embedding(hidden), block(hidden), head(hidden)};
    model.sequence = 4;
    model.vocab = 10;
    return model;
  }
  Options shrink(const Options&) const override { return Options::from_text("hidden: 4", "shrunk"); }

 protected:
  static std::vector<Dim> dims(std::int64_t hidden) {
    return {{"batch", std::string(kBatch), 0},
            {"sequence", std::string(kSequence), 4},
            {"hidden", std::string(kHidden), hidden},
            {"ffn", std::string(kFfn), 2 * hidden},
            {"vocab", std::string(kVocab), 10}};
  }
  static Layer embedding(std::int64_t hidden) {
    LayerBuilder b("embedding", dims(hidden));
    const ValueId ids = b.field("ids", {"batch", "sequence"});
    b.output("hidden", b.embedding("token", ids, "vocab", std::string(kLinear), 0.02));
    return std::make_shared<const LayerSpec>(b.build());
  }
  static Layer block(std::int64_t hidden) {
    LayerBuilder b("block", dims(hidden));
    const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
    const ValueId h = b.gelu("act", b.linear("up", x, {"ffn"}, true, 0.02), true);
    b.output("hidden", b.add("sum", x, b.linear("down", h, {"hidden"}, true, 0.02)));
    return std::make_shared<const LayerSpec>(b.build());
  }
  static Layer head(std::int64_t hidden) {
    LayerBuilder b("head", dims(hidden));
    const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
    b.loss(b.cross_entropy("lm_head", x, b.field("labels", {"batch", "sequence"}), "vocab", 10, 0.02));
    return std::make_shared<const LayerSpec>(b.build());
  }
};

Rules rules_broken_by(const ModelFamily& family) { return broken_rules(family, Dimensions{}, OpLibrary()); }

// Tiny with something done to its model.
template <class Change>
class Changed final : public Tiny {
 public:
  explicit Changed(Change change) : change_(std::move(change)) {}
  ModelSpec describe(const Options& options) const override {
    ModelSpec model = Tiny::describe(options);
    change_(model, options);
    return model;
  }

 private:
  Change change_;
};

TEST_CASE("a right family breaks no rule") { CHECK(rules_broken_by(Tiny()) == Rules{}); }

TEST_CASE("a family that cannot do without options is found") {
  const Changed wrong([](ModelSpec&, const Options& options) { options.required<std::int64_t>("layers"); });
  CHECK(rules_broken_by(wrong) == Rules{"it describes a model without being told anything"});
}

TEST_CASE("a family that swallows unknown options is found") {
  const Changed wrong([](ModelSpec&, const Options& options) {
    for (const std::string& key : options.keys()) options.raw(key);
  });
  CHECK(rules_broken_by(wrong) == Rules{"an option that it does not know is left for its caller to refuse"});
}

TEST_CASE("a family whose layers do not fit together is found") {
  const Changed wrong([](ModelSpec& model, const Options&) { std::swap(model.layers[0], model.layers[1]); });
  CHECK(rules_broken_by(wrong) == Rules{"what a layer yields the next one takes, and the last one has the loss"});
}

TEST_CASE("a family that makes equal layers twice is found") {
  const Changed wrong([](ModelSpec& model, const Options&) {
    model.layers.insert(model.layers.begin() + 1, std::make_shared<const LayerSpec>(*model.layers[1]));
  });
  CHECK(rules_broken_by(wrong) == Rules{"layers of one type are one object"});
}

TEST_CASE("a layer that reads a value before it is made is found") {
  const Changed wrong([](ModelSpec& model, const Options&) {
    LayerSpec layer = *model.layers[1];
    std::swap(layer.ops.front(), layer.ops.back());
    model.layers[1] = std::make_shared<const LayerSpec>(layer);
  });
  CHECK(rules_broken_by(wrong) == Rules{"the graph of every layer is whole"});
}

TEST_CASE("a layer with an op that nobody knows is found") {
  const Changed wrong([](ModelSpec& model, const Options&) {
    LayerSpec layer = *model.layers[1];
    layer.ops.back().kind = "subtract";
    model.layers[1] = std::make_shared<const LayerSpec>(layer);
  });
  CHECK(rules_broken_by(wrong) == Rules{"it compiles for one device",
                                        "it compiles for two devices that share the samples",
                                        "it compiles for two stages"});
}

TEST_CASE("a family that does not say its vocabulary or sequence is found") {
  const Changed no_vocab([](ModelSpec& model, const Options&) { model.vocab = 0; });
  const Changed no_sequence([](ModelSpec& model, const Options&) { model.sequence = 0; });
  const Rules expected = {"its vocabulary and sequence are said where layers have them"};
  CHECK(rules_broken_by(no_vocab) == expected);
  CHECK(rules_broken_by(no_sequence) == expected);
}

TEST_CASE("a role that no dimension splits is noted") {
  Changed odd([](ModelSpec& model, const Options&) {
    LayerSpec layer = *model.layers[1];
    for (Dim& dim : layer.dims)
      if (dim.role == kFfn) dim.role = "vocabs";
    model.layers[1] = std::make_shared<const LayerSpec>(layer);
  });
  struct SplitsVocab final : Parallelism {
    Traits traits() const override { return {.name = "splits_vocab", .options = {"degree"}}; }
    std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override {
      return {{"splits_vocab", {}}, {"splits_vocab", {{"degree", "2"}}}};
    }
    Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
      if (!setting.on()) return accept();
      const auto axes = placement.claim("splits_vocab", 2);
      if (!axes) return reject(unclaimable(placement, 2));
      placement.split(kVocab, *axes);
      return accept();
    }
  };
  const Dimensions dimensions = {std::make_shared<const SplitsVocab>()};
  CHECK(conformance::unsplit_roles(Tiny().describe(Options::empty()), dimensions).empty());
  CHECK(conformance::unsplit_roles(odd.describe(Options::empty()), dimensions) ==
        std::vector<std::string>{"no dimension splits role 'vocabs'; did you mean 'vocab'?"});
}

TEST_CASE("a family that does not shrink is found") {
  struct Wrong final : Tiny {
    Options shrink(const Options&) const override { return Options::from_text("hidden: 4096", "not shrunk"); }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"shrunk it keeps its types of layers and trains in milliseconds"});
}

// Tiny with public weights, of which something may be wrong.
class TinyWeights final : public Tiny, public PublicWeights {
 public:
  explicit TinyWeights(std::string left_out = {}, std::string dropped = {}, std::int64_t config_hidden = 8)
      : left_out_(std::move(left_out)), dropped_(std::move(dropped)), config_hidden_(config_hidden) {}
  const void* extension(std::string_view id) const override {
    return id == kPublicWeights ? static_cast<const PublicWeights*>(this) : nullptr;
  }
  std::vector<std::string> model_types() const override { return {"tiny"}; }
  CanonicalName canonical(std::string_view tensor) const override {
    return {std::string(tensor), tensor == dropped_ ? "a buffer" : ""};
  }
  // Nothing of model_type: the family was chosen by it.
  ConfigReading read_config(const Options& config, const WeightTensors&) const override {
    ConfigReading reading;
    reading.options.set("hidden", config.raw("size"));
    return reading;
  }
  std::string write_config(const Options&) const override {
    return fmt::format("{{\"model_type\": \"tiny\", \"size\": {}}}", config_hidden_);
  }
  WeightMap map(const Options&, const ModelSpec& model) const override {
    WeightMap map(model);
    for (int i = 0; i < 3; ++i)
      for (const Parameter& parameter : model.layers[static_cast<std::size_t>(i)]->parameters)
        if (parameter.name != left_out_) map.add(i, parameter.name, fmt::format("{}.{}", i, parameter.name));
    return map;
  }

 private:
  std::string left_out_, dropped_;
  std::int64_t config_hidden_;
};

}  // namespace
TEST_CASE("public weights have every parameter, under names that are read, and a config.json that says so") {
  CHECK(rules_broken_by(TinyWeights()) == Rules{});
  const std::string rule =
      "its public weights have every parameter once, under names that it reads, and a config.json that says so";
  CHECK(rules_broken_by(TinyWeights("up.bias")) == Rules{rule});
  CHECK(rules_broken_by(TinyWeights("", "1.up.weight")) == Rules{rule});
  CHECK(rules_broken_by(TinyWeights("", "", 16)) == Rules{rule});
}

}  // namespace trellis
