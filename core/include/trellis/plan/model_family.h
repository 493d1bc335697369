// A model family: declares the layers of its models from options. Implemented by plugins/models/*.
#pragma once

#include <string_view>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/options.h"

namespace trellis {

class TRELLIS_API ModelFamily {
 public:
  virtual ~ModelFamily();
  // Reads every option it knows; the caller rejects the rest. Throws Error with the option's mark.
  virtual ModelSpec describe(const Options&) const = 0;
  // The same options shrunk to a size that a test trains in milliseconds, keeping the shape (verify without --full).
  virtual Options shrink(const Options&) const = 0;
  // Optional powers, asked for by id ("trellis.public_weights/1", weights.h); nullptr where there is none.
  virtual const void* extension(std::string_view id) const;
};

}  // namespace trellis
