// Images of another size, as Pillow makes them: a filter that is as wide as the reduction asks for, first along the
// rows, then along the columns, each rounded to 8 bits.
#pragma once

#include "data/images/image.h"
#include "trellis/plan/image_section.h"

namespace trellis::data {

TRELLIS_API Image resize_image(const Image& image, std::int64_t width, std::int64_t height, ImageFilter filter);

// Zeros where the window [left, left + width) x [top, top + height) reaches over the image.
TRELLIS_API Image window_of(const Image& image, std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height);

}  // namespace trellis::data
