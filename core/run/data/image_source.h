// Samples of images with labels: for models that classify (fields patches, positions, labels).
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/images/image_set.h"
#include "data/images/steps.h"
#include "run/data/sample_order.h"
#include "trellis/plan/export.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

struct ImageOptions {
  std::int64_t batch = 0;
  std::uint64_t seed = 0;
  Order order = Order::shuffled;  // shuffled also crops and flips at random
  std::int64_t kept_bytes = std::int64_t{256} << 20;
};

// Images of a set, each once an epoch. Which comes when, and what is random about it, is a function of the cursor alone:
// of (seed, number of the sample in the run). What is decoded is kept until `kept_bytes` are full; the others are decoded
// each time. Thread-safe.
class TRELLIS_API ImageSource final : public DataSource {
 public:
  // `images` of the set. Error where there is none.
  ImageSource(ImageSetPointer set, std::vector<std::int64_t> images, ImageSteps steps, ImageOptions options);

  std::int64_t batch() const override { return options_.batch; }
  // Error (bad_input) for an image that does not decode, with its name.
  at::Tensor field(const FieldRequest& request) const override;
  std::int64_t counted_items(std::int64_t step, std::string_view labels) const override;

  const SampleOrder& order() const { return order_; }
  // Which image of the set row `row` of a step is, or -1: surplus.
  std::int64_t image(std::int64_t step, std::int64_t row) const;

 private:
  at::Tensor patches(const FieldRequest& request) const;
  Image fixed(std::int64_t image) const;
  Image finished_for(std::int64_t image, std::int64_t cursor) const;

  ImageSetPointer set_;
  std::vector<std::int64_t> images_;
  ImageSteps steps_;
  ImageOptions options_;
  std::vector<float> normalization_;
  SampleOrder order_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::int64_t, std::shared_ptr<const Image>> kept_;
  mutable std::int64_t kept_bytes_ = 0;
};

// Entropy of the labels' frequencies, in nats: the loss of a model that has learned nothing but how frequent each is.
TRELLIS_API double label_entropy(const ImageSet& set, const std::vector<std::int64_t>& images);

}  // namespace trellis::data
