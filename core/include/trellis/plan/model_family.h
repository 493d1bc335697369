// A model family: declares the layers of its models from options. Implemented by plugins/models/*.
#pragma once

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
};

}  // namespace trellis
