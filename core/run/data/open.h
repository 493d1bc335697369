// How the samples of each kind of data are opened: what open_samples (run_samples.h) chooses from.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "data/samples/run_data.h"
#include "run/data/run_samples.h"
#include "trellis/plan/error.h"

namespace trellis::data {

struct OpenRequest {
  const RunFile& run;
  const ModelSpec& model;
  const OpLibrary& ops;
  std::int64_t batch;
};

RunSamples open_text(const OpenRequest&);             // text, indexed, masked_text
RunSamples open_span_corruption(const OpenRequest&);
RunSamples open_sentence_pairs(const OpenRequest&);
RunSamples open_labelled_text(const OpenRequest&);
RunSamples open_images(const OpenRequest&);           // images, idx

// Error where the source lacks a field of the model, or says that it does not serve it.
void ask_for_all(const DataSource& source, const OpenRequest& request);

// Whether a run evaluates held-out samples at all.
inline bool evaluates(const RunFile& run) { return run.data.held_out > 0 && run.train.evaluate_batches > 0; }

// Errors of what `make` does, at the section of the data.
template <class Make>
auto at_section(const RunFile& run, std::string_view part, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("data: {}: {}", part, error.message()), error.hint(), run.data.mark);
  }
}

// The source that is trained on, as `make` returns it; it has a SampleOrder.
template <class Make>
void add_training(RunSamples& result, const OpenRequest& request, std::string_view part, const Make& make) {
  auto source = at_section(request.run, part, make);
  at_section(request.run, part, [&] { ask_for_all(*source, request); });
  result.training_samples = source->order().samples();
  result.training = std::move(source);
}

// The source that is evaluated.
template <class Make>
void add_held_out(RunSamples& result, const OpenRequest& request, std::string_view part, const Make& make) {
  auto source = at_section(request.run, part, make);
  result.held_out_steps = source->order().steps_in_turn();
  result.held_out = std::move(source);
}

}  // namespace trellis::data
