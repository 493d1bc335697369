#include "run/data/run_samples.h"

#include "run/data/open.h"

namespace trellis::data {

void ask_for_all(const DataSource& source, const OpenRequest& request) {
  for (const auto& [name, field] : fields_of(request.model, request.ops)) source.field({.name = name});
}

RunSamples open_samples(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch) {
  const OpenRequest request{run, model, ops, batch};
  if (run.data.use == "span_corruption") return open_span_corruption(request);
  if (run.data.use == "sentence_pairs") return open_sentence_pairs(request);
  if (run.data.use == "labelled_text") return open_labelled_text(request);
  if (run.data.is_images()) return open_images(request);
  return open_text(request);
}

}  // namespace trellis::data
