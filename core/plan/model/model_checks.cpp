#include "plan/model/model_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

namespace trellis::checks {
namespace {

using Index = std::size_t;

// The names and shapes of the values on an edge.
std::map<std::string, Shape> edge(const LayerSpec& layer, const std::vector<ValueId>& values) {
  std::map<std::string, Shape> result;
  for (ValueId x : values) {
    const Value& value = layer.values.at(static_cast<Index>(x));
    result[value.name] = layer.shape(value.dims, 1);
  }
  return result;
}

std::string in_words(const std::map<std::string, Shape>& edge) {
  std::vector<std::string> words;
  for (const auto& [name, shape] : edge) words.push_back(fmt::format("{} [{}]", name, fmt::join(shape, " ")));
  return words.empty() ? "nothing" : fmt::format("{}", fmt::join(words, ", "));
}

struct SharedUse {
  const LayerSpec* layer;
  const Parameter* parameter;
};

std::string dims_in_words(const SharedUse& use) {
  std::vector<std::string> words;
  for (const DimId id : use.parameter->dims) {
    const Dim& dim = use.layer->dims.at(static_cast<Index>(id));
    words.push_back(fmt::format("{} {}", dim.role, dim.size));
  }
  return fmt::format("[{}]", fmt::join(words, ", "));
}

std::string difference(const SharedUse& first, const SharedUse& other) {
  const auto told = [&](std::string_view what, const std::string& here, const std::string& there) {
    return fmt::format("layer '{}': '{}' shares '{}', {} {} here, and {} in '{}' of layer '{}'", other.layer->type,
                       other.parameter->name, other.parameter->shared, what, here, there, first.parameter->name,
                       first.layer->type);
  };
  const std::string here = dims_in_words(other), there = dims_in_words(first);
  if (here != there) return told("which is", here, there);
  if (first.parameter->init == other.parameter->init) return {};
  const auto name = [](Parameter::Init init) {
    return std::string(init == Parameter::Init::normal ? "normal" : init == Parameter::Init::ones ? "ones" : "zeros");
  };
  return told("which begins as", name(other.parameter->init), name(first.parameter->init));
}

std::string fingerprint_of(std::shared_ptr<const LayerSpec> layer) {
  ModelSpec model;
  model.layers.push_back(std::move(layer));
  return fingerprint(model);
}

}  // namespace

std::string sharing_problem(const ModelSpec& model) {
  std::map<std::string_view, std::shared_ptr<const LayerSpec>> types;
  std::map<std::string_view, SharedUse> shared;
  for (const auto& layer : model.layers) {
    const auto [first, is_new] = types.emplace(layer->type, layer);
    if (first->second != layer && fingerprint_of(layer) != fingerprint_of(first->second))
      return fmt::format("two layers of type '{}' differ; layers that differ need types of their own", layer->type);
    if (!is_new) continue;
    for (const Parameter& parameter : layer->parameters) {
      if (parameter.shared.empty()) continue;
      const SharedUse use{layer.get(), &parameter};
      const SharedUse& owner = shared.emplace(parameter.shared, use).first->second;
      if (std::string problem = difference(owner, use); !problem.empty()) return problem;
    }
  }
  return {};
}

std::string chain_problem(const ModelSpec& model) {
  const auto& layers = model.layers;
  if (layers.empty()) return "it has no layers";
  if (!layers.front()->inputs.empty()) return "the first layer takes an input; there is nothing before it";
  for (Index i = 0; i + 1 < layers.size(); ++i) {
    const auto leaves = edge(*layers[i], layers[i]->outputs), arrives = edge(*layers[i + 1], layers[i + 1]->inputs);
    if (leaves != arrives)
      return fmt::format("layer {} yields {}, layer {} takes {}", i, in_words(leaves), i + 1, in_words(arrives));
    if (!layers[i]->losses.empty()) return fmt::format("layer {} has a loss, and is not the last", i);
  }
  return !layers.back()->losses.empty() ? "" : "the last layer has no loss";
}

std::string size_problem(const ModelSpec& model) {
  std::int64_t vocab = 0;
  bool has_sequence = false;
  for (const auto& layer : model.layers) {
    for (const Dim* dim : layer->dims_of_role(kVocab)) vocab = std::max(vocab, dim->size);
    has_sequence = has_sequence || !layer->dims_of_role(kSequence).empty();
  }
  if (vocab > 0 && (model.vocab < 1 || model.vocab > vocab))
    return fmt::format("its vocab is {}; its layers have {} vocabulary entries: expected 1 to {}", model.vocab, vocab,
                       vocab);
  if (has_sequence && model.sequence < 1)
    return fmt::format("its sequence is {}, and its layers have a sequence: expected 1 or more", model.sequence);
  return {};
}

}  // namespace trellis::checks
