#include "run/data/image_source.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <map>

#include "run/data/entropy.h"
#include "run/data/random.h"
#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

constexpr std::uint64_t kVariation = 0x68656c65;  // stream of random numbers

std::vector<std::int64_t> one_or_more(std::vector<std::int64_t> images) {
  if (images.empty()) throw Error(ExitCode::bad_input, "there is not one image", "more images, or another share of held-out ones");
  return images;
}

}  // namespace

ImageSource::ImageSource(ImageSetPointer set, std::vector<std::int64_t> images, ImageSteps steps, ImageOptions options)
    : set_(std::move(set)),
      images_(one_or_more(std::move(images))),
      steps_(std::move(steps)),
      options_(options),
      normalization_(normalization(steps_)),
      order_({{.samples = static_cast<std::int64_t>(images_.size())}}, options.batch, options.seed, options.order) {}

std::int64_t ImageSource::image(std::int64_t step, std::int64_t row) const {
  const std::int64_t sample = order_(step, row);
  return sample < 0 ? -1 : images_[static_cast<std::size_t>(sample)];
}

Image ImageSource::fixed(std::int64_t image) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(image); found != kept_.end()) return *found->second;
  }
  Image made;
  try {
    made = fixed_part(set_->decode(image), steps_, options_.order == Order::shuffled);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("data: '{}': {}", set_->name(image), error.message()), error.hint());
  }
  const auto bytes = static_cast<std::int64_t>(made.pixels.size());
  const std::lock_guard lock(mutex_);
  if (kept_bytes_ + bytes <= options_.kept_bytes && kept_.emplace(image, std::make_shared<const Image>(made)).second)
    kept_bytes_ += bytes;
  return made;
}

Image ImageSource::finished_for(std::int64_t image, std::int64_t cursor) const {
  if (options_.order == Order::in_turn) return finished(fixed(image), steps_, nullptr);
  return finished(fixed(image), steps_, [&](int k) {
    return uniform(mix({options_.seed, kVariation, static_cast<std::uint64_t>(cursor), static_cast<std::uint64_t>(k)}));
  });
}

at::Tensor ImageSource::patches(const FieldRequest& request) const {
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin, features = steps_.features();
  at::Tensor result = at::zeros({rows, positions, features}, at::kFloat);
  float* const out = result.data_ptr<float>();
  at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t image = this->image(request.step, request.row_begin + row);
      if (image < 0) continue;
      const Image pixels = finished_for(image, request.step * options_.batch + request.row_begin + row);
      write_patches(pixels, steps_, normalization_, request.position_begin, request.position_end,
                    out + row * positions * features);
    }
  });
  return result;
}

at::Tensor ImageSource::field(const FieldRequest& request) const {
  if (request.name == "patches") return patches(request);
  const bool labels = request.name == "labels";
  if (!labels && request.name != "positions")
    throw Error(ExitCode::unsupported, fmt::format("images have no field '{}', which the model reads", request.name),
                "they have patches, positions and labels: they train models that classify images");
  const std::int64_t rows = request.row_end - request.row_begin;
  const std::int64_t positions = request.position_end - request.position_begin;
  at::Tensor result = at::empty({rows, positions}, at::kLong);
  std::int64_t* out = result.data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t image = this->image(request.step, request.row_begin + row);
    for (std::int64_t p = request.position_begin; p < request.position_end; ++p)
      *out++ = labels ? (image < 0 ? -1 : set_->label(image)) : image < 0 || p >= steps_.positions() ? 0 : p;
  }
  return result;
}

std::int64_t ImageSource::counted_items(std::int64_t step, std::string_view labels) const {
  if (labels != "labels") fail("images have no labels '{}'", labels);
  return order_.rows(step);
}

double label_entropy(const ImageSet& set, const std::vector<std::int64_t>& images) {
  std::map<std::int64_t, double> counts;
  for (const std::int64_t image : images) ++counts[set.label(image)];
  std::vector<double> shares;
  for (const auto& [label, count] : counts) shares.push_back(count / static_cast<double>(images.size()));
  return entropy_of(shares);
}

}  // namespace trellis::data
