// A model family whose layers are right, and which makes the mistake that it is told to make in what it says of them.
#include "trellis/plan/builder.h"
#include "trellis/plan/plugin.h"
#include "trellis/plan/weights.h"

namespace {

using namespace trellis;

struct CarelessOptions {
  explicit CarelessOptions(const Options& options)
      : hidden(options.get("hidden", std::int64_t{8})), mistake(options.get("mistake", "")) {}

  std::vector<Dim> dims() const {
    return {{"batch", std::string(kBatch), 0},
            {"sequence", std::string(kSequence), 16},
            {"hidden", std::string(kHidden), hidden},
            {"ffn", std::string(kFfn), 2 * hidden},
            {"vocab", std::string(kVocab), 257}};
  }
  std::int64_t hidden;
  std::string mistake;
};

LayerSpec embedding(const CarelessOptions& o) {
  LayerBuilder b("embedding", o.dims());
  const ValueId ids = b.field(o.mistake == "field" ? "idz" : "ids", {"batch", "sequence"});
  b.output("hidden", b.embedding("token", ids, "vocab", std::string(kLinear), 0.02));
  return b.build();
}

LayerSpec block(const CarelessOptions& o) {
  LayerBuilder b("block", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  const ValueId h = b.gelu("act", b.linear("up", x, {"ffn"}, true, 0.02), true);
  b.output("hidden", b.add("sum", x, b.linear("down", h, {"hidden"}, true, 0.02)));
  return b.build();
}

LayerSpec head(const CarelessOptions& o) {
  LayerBuilder b("head", o.dims());
  const ValueId x = b.input("hidden", {"batch", "sequence", "hidden"});
  b.loss(b.cross_entropy("lm_head", x, b.field("labels", {"batch", "sequence"}), "vocab", 257, 0.02));
  return b.build();
}

class CarelessWeights final : public PublicWeights {
 public:
  std::vector<std::string> model_types() const override { return {"careless"}; }
  CanonicalName canonical(std::string_view tensor) const override { return {std::string(tensor), ""}; }
  ConfigReading read_config(const Options& config, const WeightTensors&) const override {
    ConfigReading reading;
    reading.options.set("hidden", config.raw("hidden_size"));
    return reading;
  }
  std::string write_config(const Options& options) const override {
    const CarelessOptions o(options);
    if (o.mistake == "config") return fmt::format("{{\"hidden_size\": {}", o.hidden);
    return fmt::format("{{\"model_type\": \"careless\", \"hidden_size\": {}}}", o.hidden);
  }
  WeightMap map(const Options& options, const ModelSpec& model) const override {
    const CarelessOptions o(options);
    if (o.mistake == "throws") throw std::out_of_range("map::at");
    WeightMap map(model);
    for (int i = 0; i < static_cast<int>(model.layers.size()); ++i)
      for (const Parameter& parameter : model.layers[static_cast<std::size_t>(i)]->parameters)
        if (o.mistake != "map" || parameter.name != "up.bias") map.add(i, parameter.name, full_name(i, parameter));
    return map;
  }
};

class Careless final : public ModelFamily {
 public:
  ModelSpec describe(const Options& options) const override {
    const CarelessOptions o(options);
    ModelSpec model;
    model.family = "careless";
    model.summary = "3 layers";
    for (LayerSpec layer : {embedding(o), block(o), head(o)})
      model.layers.push_back(std::make_shared<const LayerSpec>(std::move(layer)));
    model.sequence = 16;
    model.vocab = 257;
    return model;
  }
  Options shrink(const Options& options) const override {
    Options small = Options::empty("shrunk careless");
    if (options.get("mistake", "") == "shrink") small.set("hiden", "4");
    return small;
  }
  const void* extension(std::string_view id) const override { return id == kPublicWeights ? &weights_ : nullptr; }

 private:
  CarelessWeights weights_;
};

}  // namespace

TRELLIS_PLUGIN("careless", "1.0.0") { registrar.add<Careless>(); }
